/**
 * Runs commands one after another in one process, for attempts in which no process dies: what most of a short command's time
 * goes into is the start of Node.js. Preloaded with `faults.ts`, whose plan is another one for each command.
 */
import { diskFailure } from '../../src/base/index.ts';
import { fail, type Io } from '../../src/cli/io.ts';
import { runProgram } from '../../src/cli/program.ts';
import { ARM, type FaultPlan } from './fault-plan.ts';

/** What a host is asked. */
export interface HostedCommand {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly plan?: FaultPlan;
}

/** What it answers. */
export interface HostedEnd {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run({ args, cwd, env, plan }: HostedCommand): Promise<HostedEnd> {
  const said = { stdout: '', stderr: '' };
  const err = (text: string): void => void (said.stderr += text);
  const io: Io = {
    ...{ env, cwd, uid: process.getuid?.() ?? -1, stdin: nothing(), err },
    signal: new AbortController().signal,
    clock: { now: () => performance.timeOrigin + performance.now() },
    terminal: { isTTY: false, columns: 80, rows: 24, colour: false, pending: 0, write: err },
    pending: 0,
    stopped: () => undefined,
    out: (text) => void (said.stdout += text),
    outStream: async (data) => {
      for await (const chunk of data) said.stdout += Buffer.from(chunk).toString('latin1');
    },
  };
  arm(plan);
  try {
    return { status: await runProgram(args, io), ...said };
  } catch (e) {
    // As the program does with what nobody caught.
    const disk = diskFailure(e);
    const status = disk === undefined ? 70 : fail(io, disk);
    if (disk === undefined) said.stderr += e instanceof Error ? (e.stack ?? e.message) : String(e);
    return { status, ...said };
  } finally {
    arm(undefined);
  }
}

function arm(plan: FaultPlan | undefined): void {
  // Set by the preloaded module.
  const set = (globalThis as unknown as Record<symbol, (plan?: FaultPlan) => void>)[ARM];
  if (set === undefined) throw new Error('the host was started without its faults');
  set(plan);
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // No input.
}

// Its parent sends nothing else.
process.on('message', (command) => {
  void run(command as HostedCommand).then((end) => process.send?.(end));
});
