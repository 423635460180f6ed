import { writeSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { fail, type Io, storeRoot } from './io.ts';
import { installInterrupts } from './signals.ts';

/*
 * Nothing but this file's few imports is loaded before the compile cache is on; commands are imported when they are run.
 */
const root = storeRoot({ env: process.env, uid: process.getuid?.() ?? -1 });
enableCompileCache(join(root, 'compile-cache'));

process.exitCode = await start();

async function start(): Promise<number> {
  const interrupts = installInterrupts((text) => writeAll(2, text));
  const io: Io = {
    env: process.env,
    cwd: process.cwd(),
    uid: process.getuid?.() ?? -1,
    stdin: process.stdin,
    signal: interrupts.signal,
    clock: { now: () => performance.timeOrigin + performance.now() },
    terminal: {
      get isTTY() {
        return process.stderr.isTTY;
      },
      get columns() {
        return process.stderr.isTTY ? process.stderr.columns : 80;
      },
      get rows() {
        return process.stderr.isTTY ? process.stderr.rows : 24;
      },
      get colour() {
        return process.stderr.isTTY && (process.env['NO_COLOR'] ?? '') === '';
      },
      write: (text) => writeAll(2, text),
    },
    out: (text) => writeAll(1, text),
    outBytes: (data) => writeAll(1, data),
    err: (text) => writeAll(2, text),
  };
  try {
    const { runProgram } = await import('./program.ts');
    const code = await runProgram(process.argv.slice(2), io);
    return interrupts.exitCode() ?? code;
  } catch (e) {
    const stopped = interrupts.exitCode();
    if (stopped !== undefined && interrupts.signal.aborted && isAbort(e)) return stopped;
    const { diskFailure } = await import('../base/index.ts');
    const disk = diskFailure(e);
    if (disk !== undefined) return fail(io, disk);
    const text = e instanceof Error ? (e.stack ?? e.message) : String(e);
    io.err(`internal error: this is a bug in varve, please report it\n${text}\n`);
    for (let cause = causeOf(e); cause !== undefined; cause = causeOf(cause))
      io.err(`caused by: ${cause.stack ?? cause.message}\n`);
    return 70;
  }
}

function causeOf(e: unknown): Error | undefined {
  return e instanceof Error && e.cause instanceof Error ? e.cause : undefined;
}

function isAbort(e: unknown): boolean {
  return e instanceof Error && e.name === 'AbortError';
}

/** Writes to a file descriptor, all of it, in order; a reader that went away ends the program quietly. */
function writeAll(fd: number, data: string | Uint8Array): void {
  let rest: Uint8Array = typeof data === 'string' ? Buffer.from(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (e) {
      const code = e instanceof Error && 'code' in e ? e.code : undefined;
      if (code === 'EPIPE') process.exit(141);
      // A pipe in non-blocking mode whose reader is slow.
      if (code !== 'EAGAIN') throw e;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
