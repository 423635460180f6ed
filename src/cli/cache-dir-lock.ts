import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isErrno } from '../base/index.ts';
import { tryLock } from '../sys/index.ts';

/** Commands of any store that work with a directory of packages hold this file's lock together; who removes has it alone. */
const LOCK = '.varve-lock';
const POLL_MS = 100;

/**
 * Works with a directory of packages that several stores may use, until disposed: nothing of it is removed meanwhile. Waits for a
 * command that is removing from it. A directory that nobody here can write to needs no lock.
 */
export async function useCacheDir(dir: string, signal: AbortSignal): Promise<Disposable> {
  const fd = openLock(dir);
  if (fd === undefined) return { [Symbol.dispose]: () => undefined };
  try {
    while (!tryLock(fd, 'shared')) await pause(POLL_MS, undefined, { signal });
  } catch (e) {
    closeSync(fd);
    throw e;
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}

/** Has a directory of packages alone until disposed; undefined while others work with it. */
export function claimCacheDir(dir: string): Disposable | undefined {
  const fd = openLock(dir);
  if (fd === undefined) return undefined;
  if (tryLock(fd, 'exclusive')) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  return undefined;
}

/** Its descriptor, which holds the lock as long as it is open (flock(2)). */
function openLock(dir: string): number | undefined {
  try {
    mkdirSync(dir, { recursive: true });
    return openSync(join(dir, LOCK), 'a', 0o644);
  } catch (e) {
    if (!isErrno(e, 'EACCES', 'EROFS', 'EPERM')) throw e;
    return undefined;
  }
}
