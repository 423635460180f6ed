import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { isErrno, isRecord, parseJson } from '../base/index.ts';
import { makePipe } from '../sys/index.ts';

/** One container of an OCI runtime's command line (runc and crun share it). */
export interface RuntimeContainer {
  readonly program: string;
  readonly id: string;
  readonly bundle: string;
  /** Where the runtime keeps its own state. */
  readonly root: string;
  readonly logFile: string;
}

/** The only environment the runtime gets: it needs to find its own helpers. */
export const RUNTIME_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/** How a run of the runtime ended; `missing`: the program could not be started. */
export type RuntimeExit =
  | { readonly at: 'exited'; readonly code: number }
  | { readonly at: 'killed'; readonly signal: NodeJS.Signals }
  | { readonly at: 'missing'; readonly error: NodeJS.ErrnoException };

/** A container that is being run; `exit` settles when the runtime and both output streams have ended. */
export interface RunningContainer {
  readonly exit: Promise<RuntimeExit>;
  /** Ends every process of the container, started or not. */
  kill(): Promise<void>;
}

/**
 * Starts `run`, with pipes that a step can open anew (`/dev/stdout`): crun hands them on, and a socket cannot be opened. `keep`
 * leaves the stopped container (and its control group) for `deleteContainer`.
 */
export function startContainer(
  container: RuntimeContainer,
  options: {
    readonly keep: boolean;
    readonly output: (stream: 1 | 2, data: Uint8Array) => void;
  },
): RunningContainer {
  const args = ['run', '--bundle', container.bundle, ...(options.keep ? ['--keep'] : [])];
  const ends = [makePipe(), makePipe()];
  const stdio = ends.map(({ write }) => write);
  const child = runtime(container, [...args, container.id], ['ignore', ...stdio]);
  for (const { write } of ends) closeSync(write);
  const ended = ends.map(async ({ read }, i) => {
    const stream = new Socket({ fd: read, readable: true, writable: false });
    stream.on('data', (data: Uint8Array) => options.output(i === 0 ? 1 : 2, data));
    await once(stream, 'close');
  });
  return {
    exit: Promise.all([exitOf(child), ...ended]).then(([exit]) => exit),
    kill: async () => {
      const killed = await exitOf(runtime(container, ['kill', container.id, 'KILL'], 'ignore'));
      // Not created yet: the runtime itself is ended, and what it began goes with its pipe.
      if (killed.at !== 'exited' || killed.code !== 0) child.kill('SIGKILL');
    },
  };
}

/** Removes the runtime's record of a container, ending what is left of it. No error when there is none. */
export async function deleteContainer(container: RuntimeContainer): Promise<void> {
  await exitOf(runtime(container, ['delete', '--force', container.id], 'ignore'));
}

/** The runtime's own error messages, last first; empty when the container was run. */
export function runtimeErrors(logFile: string): string[] {
  let text: string;
  try {
    text = readFileSync(logFile, 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw e;
  }
  return text
    .split('\n')
    .flatMap((line) => {
      const entry = parseJson(line);
      if (!entry.ok || !isRecord(entry.value) || entry.value['level'] !== 'error') return [];
      const message = entry.value['msg'];
      return typeof message === 'string' ? [message] : [];
    })
    .reverse();
}

function runtime(
  container: RuntimeContainer,
  args: readonly string[],
  stdio: 'ignore' | ('ignore' | number)[],
): ChildProcess {
  const log = ['--log', container.logFile, '--log-format', 'json'];
  return spawn(container.program, ['--root', container.root, ...log, ...args], {
    stdio,
    env: RUNTIME_ENV,
    cwd: '/',
    // Its own process group: the terminal's interrupt reaches this program, which ends steps in order.
    detached: true,
  });
}

async function exitOf(child: ChildProcess): Promise<RuntimeExit> {
  const { promise, resolve } = Promise.withResolvers<RuntimeExit>();
  child.once('error', (error) => resolve({ at: 'missing', error }));
  child.once('close', (code, signal) =>
    resolve(signal === null ? { at: 'exited', code: code ?? 0 } : { at: 'killed', signal }),
  );
  return await promise;
}
