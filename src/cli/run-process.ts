import { fstatSync } from 'node:fs';
import { fail, type Io, neutraliseLines } from './io.ts';
import { Outlet } from './outlet.ts';
import { writeAll, writeStream } from './output.ts';
import { type Interrupts, installInterrupts } from './signals.ts';
import { storeRoot } from './store-root.ts';
import type { NamespaceEntry } from './user-namespace.ts';

/** Runs the command line of this process. */
export async function main(): Promise<void> {
  const refused = process.getuid?.() === 0 ? undefined : await becomeRoot();
  process.exitCode = refused ?? (await start());
  // A command that was stopped has cleaned up: neither a connection that is still being closed nor a reader keeps it waiting.
  if (unfinished.output || [129, 130, 141, 143].includes(process.exitCode)) process.exit();
}

const unfinished = { output: false };

/**
 * A user who is not root continues as root of a user namespace: this very process, so that its parent, terminal and signals
 * stay as they are. Returns an exit code when that cannot be.
 */
async function becomeRoot(): Promise<number | undefined> {
  const { namespaceEntry, needsNamespace, OUTER_USER } = await import('./user-namespace.ts');
  const argv = process.argv.slice(2);
  if (!needsNamespace(argv)) return undefined;
  const uid = process.getuid?.() ?? -1;
  const entry: NamespaceEntry = namespaceEntry({ uid, path: process.env['PATH'] ?? '' });
  if (!entry.ok) {
    if (argv[0] === 'doctor') return undefined;
    const { renderFailure } = await import('../base/index.ts');
    writeAll(2, `${renderFailure(entry.error)}\n`);
    return entry.error.exit;
  }
  if (process.execve === undefined) return undefined;
  const node = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const root = storeRoot({ env: process.env, uid });
  const env = { ...process.env, VARVE_ROOT: root, [OUTER_USER]: String(uid) };
  return process.execve(entry.file, [...entry.args, ...node], env);
}

/** Runs the command line of this process, whoever its user is. */
export async function start(): Promise<number> {
  const out = new Outlet(1, () => interrupts.unread());
  const err = new Outlet(2, () => interrupts.unread());
  const interrupts = installInterrupts({ notify: (text) => err.write(text), last: tidyLater });
  let isLate = false;
  const io = processIo({ out, err, interrupts, stopped: () => (isLate = true) });
  const code = await runCommand(io, interrupts);
  const before = interrupts.exitCode();
  const isStopped = (): boolean => isLate || interrupts.signal.aborted;
  const read = await Promise.all([out, err].map(async (outlet) => await outlet.settled(isStopped)));
  if (read.includes(false)) unfinished.output = true;
  // A signal that came while a reader was waited for.
  const after = interrupts.exitCode();
  return after === undefined || after === before ? code : after;
}

/** What commands see of this process. */
function processIo({
  out,
  err,
  interrupts,
  stopped,
}: {
  readonly out: Outlet;
  readonly err: Outlet;
  readonly interrupts: Interrupts;
  readonly stopped: () => void;
}): Io {
  let stdin: NodeJS.ReadStream | undefined;
  return {
    env: process.env,
    cwd: process.cwd(),
    uid: process.getuid?.() ?? -1,
    get stdin() {
      stdin ??= stoppable(interrupts.signal);
      return stdin;
    },
    signal: interrupts.signal,
    clock: { now: () => performance.timeOrigin + performance.now() },
    terminal: {
      get isTTY() {
        return isTerminal();
      },
      get columns() {
        return isTerminal() ? process.stderr.columns : 80;
      },
      get rows() {
        return isTerminal() ? process.stderr.rows : 24;
      },
      get colour() {
        return isTerminal() && (process.env['NO_COLOR'] ?? '') === '';
      },
      get pending() {
        return err.pending;
      },
      write: (text) => err.write(text),
    },
    out: (text) => out.write(text),
    get pending() {
      return out.pending;
    },
    outStream: async (data, signal) => {
      await out.settled(() => signal.aborted);
      await writeStream(data, {
        ...{ signal, unread: interrupts.unread },
        stuck: () => {
          unfinished.output = true;
        },
      });
    },
    err: (text) => err.write(text),
    stopped,
  };
}

/** Runs the command that the arguments name; its exit code. */
async function runCommand(io: Io, interrupts: Interrupts): Promise<number> {
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
    io.err(`internal error: this is a bug in varve, please report it\n${neutraliseLines(text)}\n`);
    for (let cause = causeOf(e); cause !== undefined; cause = causeOf(cause))
      io.err(`caused by: ${neutraliseLines(cause.stack ?? cause.message)}\n`);
    return 70;
  }
}

/** Whether standard error is a terminal. For pipes and files Node's stream, which loads its network modules, is not made to find that out. */
function isTerminal(): boolean {
  return fstatSync(2).isCharacterDevice() && process.stderr.isTTY;
}

function causeOf(e: unknown): Error | undefined {
  return e instanceof Error && e.cause instanceof Error ? e.cause : undefined;
}

function isAbort(e: unknown): boolean {
  return e instanceof Error && e.name === 'AbortError';
}

/** Standard input, whose reading ends with the signal. */
function stoppable(signal: AbortSignal): NodeJS.ReadStream {
  const { stdin } = process;
  process.getBuiltinModule('node:stream').addAbortSignal(signal, stdin);
  return stdin;
}

/** Another process removes what this one, which ends at once, leaves behind. */
function tidyLater(): void {
  const args = [...process.execArgv, process.argv[1] ?? '', 'tidy'];
  const { spawn } = process.getBuiltinModule('node:child_process');
  spawn(process.execPath, args, { detached: true, stdio: 'ignore' }).unref();
}
