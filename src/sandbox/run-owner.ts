import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../base/index.ts';
import { tryLock } from '../sys/index.ts';
import { USUAL } from './choose-runtime.ts';

/** What is noted of a run. */
export interface NotedRun {
  readonly id: string;
  /** Control group of the run. */
  readonly cgroupsPath: string;
  /** The runtime that runs it. */
  readonly program: string;
}

/** A run that this process answers for; released when disposed. */
export interface OwnedRun extends Disposable, NotedRun {}

/**
 * Notes that this process is about to make things for a run: a file below `owners/` that it keeps locked (flock(2)), so
 * that the next process can tell what a killed one left behind.
 */
export function claimRun(stateDir: string, run: NotedRun): OwnedRun {
  const dir = join(stateDir, 'owners');
  const { id, cgroupsPath, program } = run;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (;;) {
    const owned = lockFile(join(dir, id), 'a', id);
    if (owned === undefined) continue;
    writeFileSync(join(dir, id), `${cgroupsPath}\n${program}`);
    return { ...owned, ...run, [Symbol.dispose]: () => owned[Symbol.dispose]() };
  }
}

/** Runs whose process has died, each claimed by this one. */
export function abandonedRuns(stateDir: string): OwnedRun[] {
  const dir = join(stateDir, 'owners');
  if (!existsSync(dir)) return [];
  return readdirSync(dir).flatMap((id) => {
    const owned = lockFile(join(dir, id), 'r', id);
    if (owned === undefined) return [];
    const note = readFileSync(join(dir, id), 'utf8').split('\n');
    // Killed before it was written, nothing had been started.
    const [cgroupsPath = '', program = USUAL] = note;
    return [{ ...owned, cgroupsPath, program, [Symbol.dispose]: () => owned[Symbol.dispose]() }];
  });
}

/** Undefined when somebody else holds the file, or removed it meanwhile. */
function lockFile(
  path: string,
  flags: 'a' | 'r',
  id: string,
): (Disposable & { readonly id: string }) | undefined {
  let fd: number;
  try {
    fd = openSync(path, flags, 0o600);
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
  const there = statSync(path, { throwIfNoEntry: false })?.ino;
  if (!tryLock(fd, 'exclusive') || there !== fstatSync(fd).ino || !existsSync(path)) {
    closeSync(fd);
    return undefined;
  }
  return {
    id,
    [Symbol.dispose]: () => {
      unlinkSync(path);
      closeSync(fd);
    },
  };
}
