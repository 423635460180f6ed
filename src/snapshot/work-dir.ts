import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../base/index.ts';
import { tryLock, unmountIfMounted } from '../sys/index.ts';

/** A directory below `work/` with one owner. */
export class WorkDir implements AsyncDisposable {
  readonly path: string;
  readonly #lock: number;

  constructor(path: string) {
    this.path = path;
    let lock = claim(path);
    while (lock === undefined) lock = claim(path);
    this.#lock = lock;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeOwned(this.path);
    closeSync(this.#lock);
  }
}

/**
 * Makes a working directory with its lock, which is locked before it has its name: a sweeping process never finds it free.
 * Undefined when one took the unfinished directory for a dead process's: then it is made again.
 */
function claim(path: string): number | undefined {
  const unfinished = join(path, 'lock.new');
  let lock: number | undefined;
  try {
    mkdirSync(path, { recursive: true });
    lock = openSync(unfinished, 'wx', 0o600);
    if (tryLock(lock, 'exclusive')) {
      renameSync(unfinished, join(path, 'lock'));
      return lock;
    }
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EEXIST')) {
      if (lock !== undefined) closeSync(lock);
      throw e;
    }
  }
  if (lock !== undefined) closeSync(lock);
  return undefined;
}

/** Removes a working directory whose owner is dead, its mounts first. */
export async function removeIfOrphan(dir: string): Promise<void> {
  const lock = openIfThere(join(dir, 'lock'));
  if (lock === undefined) {
    if (!removeUnfinished(dir)) await removeOwnerless(dir);
    return;
  }
  try {
    if (!tryLock(lock, 'exclusive')) return;
    await unmountAndRemove(dir);
  } finally {
    closeSync(lock);
  }
}

/**
 * Its owner died before it had the lock, or is about to take it and will begin anew: there is nothing else in it. False when
 * there is.
 */
function removeUnfinished(dir: string): boolean {
  const path = join(dir, 'lock.new');
  const lock = openIfThere(path);
  try {
    if (lock !== undefined) {
      if (!tryLock(lock, 'exclusive')) return true;
      unlinkSync(path);
    }
    rmdirSync(dir);
    return true;
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'ENOTEMPTY')) throw e;
    return e.code === 'ENOENT';
  } finally {
    if (lock !== undefined) closeSync(lock);
  }
}

/**
 * Something without a lock in it: who made it had the lock before anything else, so that where there is none now, the removal
 * of the directory has begun, by a version that did not leave the lock for last.
 */
async function removeOwnerless(dir: string): Promise<void> {
  // In this order: a live owner's lock gets its name from the other.
  if (existsSync(join(dir, 'lock.new')) || existsSync(join(dir, 'lock'))) return;
  await unmountAndRemove(dir);
}

async function unmountAndRemove(dir: string): Promise<void> {
  for (const name of await namesIn(dir))
    if (name.startsWith('mount')) unmountIfMounted(join(dir, name));
  await removeOwned(dir);
}

/** Removes a directory, its lock last: a process that dies meanwhile leaves what the next sweep can tell to be nobody's. */
async function removeOwned(dir: string): Promise<void> {
  for (const name of await namesIn(dir))
    if (name !== 'lock') await rm(join(dir, name), { recursive: true, force: true });
  await rm(dir, { recursive: true, force: true });
}

/** None where another process removed the directory. */
async function namesIn(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (e) {
    if (!isErrno(e, 'ENOENT')) throw e;
    return [];
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (e) {
    if (!isErrno(e, 'ENOENT')) throw e;
    return undefined;
  }
}
