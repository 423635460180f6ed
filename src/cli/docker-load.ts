import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { err, failure, isErrno, ok, type Result } from '../base/index.ts';
import type { Io } from './io.ts';

/** Pipes a Docker archive into `docker load`; says when there is no Docker client here. */
export async function loadDocker(
  io: Pick<Io, 'env'>,
  data: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Result<'loaded' | 'absent'>> {
  if (!onPath(io, 'docker')) return ok('absent');
  const child = spawn('docker', ['load', '--quiet'], { stdio: ['pipe', 'ignore', 'pipe'], signal });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4096);
  });
  const ended = once(child, 'close');
  ended.catch(() => undefined);
  try {
    await pipeline(data, child.stdin, { signal });
  } catch (e) {
    signal.throwIfAborted();
    // It ended before it had read everything; why, it says itself.
    if (!isErrno(e, 'EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE')) throw e;
  }
  await ended;
  if (child.exitCode === 0) return ok('loaded');
  return err(
    failure('EX004', 3, `docker load failed: ${said.trim()}`, {
      help: 'see that the Docker engine runs, or write an archive with -o type=docker,dest=FILE',
    }),
  );
}

function onPath(io: Pick<Io, 'env'>, program: string): boolean {
  return (io.env['PATH'] ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return dir !== '';
    } catch {
      // Whatever forbids to run it.
      return false;
    }
  });
}
