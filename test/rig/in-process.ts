import type { Io } from '../../src/cli/io.ts';
import { runProgram } from '../../src/cli/program.ts';
import { type Rig, type Run, worldOf } from './rig.ts';

/** Runs the command line in this process: what many short runs would cost is the start of Node.js. */
export async function varveHere(
  rig: Rig,
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin: AsyncIterable<Uint8Array> = nothing(),
): Promise<Run> {
  return await varveAt(rig, { cwd, args, env, stdin, laterMs: 0 });
}

/** The same with a clock that is so much ahead. */
export async function varveAt(
  rig: Rig,
  run: {
    readonly cwd: string;
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly stdin?: AsyncIterable<Uint8Array>;
    readonly laterMs: number;
  },
): Promise<Run> {
  const { cwd, args, env = {}, stdin = nothing(), laterMs } = run;
  let [stdout, stderr] = ['', ''];
  const io: Io = {
    env: { ...worldOf(rig), ...env },
    cwd,
    uid: process.getuid?.() ?? -1,
    stdin,
    signal: new AbortController().signal,
    clock: { now: () => performance.timeOrigin + performance.now() + laterMs },
    terminal: {
      isTTY: false,
      columns: 80,
      rows: 24,
      colour: false,
      pending: 0,
      write: (text) => {
        stderr += text;
      },
    },
    out: (text) => {
      stdout += text;
    },
    outStream: async (data) => {
      for await (const chunk of data) stdout += Buffer.from(chunk).toString('latin1');
    },
    pending: 0,
    err: (text) => {
      stderr += text;
    },
    stopped: () => undefined,
  };
  return { status: await runProgram(args, io), stdout, stderr };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // No input.
}
