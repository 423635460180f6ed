import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hexOf, isErrno, sha256 } from '../base/index.ts';
import type { WorkLocks } from '../ports/index.ts';

/** How long a waiter sleeps between two looks; a waiting flock(2) would block a thread and could not be cancelled. */
const LOOK_MS = 20;

type TryLock = (fd: number, how: 'shared' | 'exclusive') => boolean;

/**
 * Locks between processes: flock(2) on a file per key in `dir`. The kernel drops a dead owner's lock, so taking over needs
 * no judgement of who lives. The system call binding is loaded with the first lock: a build that runs nothing needs none.
 */
export function createWorkLocks(dir: string): WorkLocks {
  return new FileLocks(dir);
}

class FileLocks implements WorkLocks {
  readonly #dir: string;
  #tryLock: TryLock | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async lock(
    key: string,
    signal: AbortSignal,
  ): Promise<AsyncDisposable & { readonly waited: boolean }> {
    let waited = false;
    for (;;) {
      signal.throwIfAborted();
      const held = await this.tryLock(key);
      if (held !== undefined) return { waited, [Symbol.asyncDispose]: held[Symbol.asyncDispose] };
      waited = true;
      await delay(LOOK_MS, undefined, { signal }).catch((e: unknown) => {
        // The timer's own AbortError hides the reason that every other wait reports.
        signal.throwIfAborted();
        throw e;
      });
    }
  }

  async tryLock(key: string): Promise<AsyncDisposable | undefined> {
    const tryLock = (this.#tryLock ??= (await import('../sys/index.ts')).tryLock);
    const path = join(this.#dir, hexOf(sha256(key)));
    const fd = this.#open(path);
    let held = false;
    try {
      // The file may have been removed by its last owner between opening and locking: such a lock guards nothing.
      held = tryLock(fd, 'exclusive') && isFile(path, fd);
    } finally {
      if (!held) closeSync(fd);
    }
    return held ? release(path, fd) : undefined;
  }

  #open(path: string): number {
    try {
      return openSync(path, 'a', 0o600);
    } catch (e) {
      if (!isErrno(e, 'ENOENT')) throw new Error(`opening the lock ${path}`, { cause: e });
      mkdirSync(this.#dir, { recursive: true });
      return openSync(path, 'a', 0o600);
    }
  }
}

function release(path: string, fd: number): AsyncDisposable {
  let held = true;
  return {
    [Symbol.asyncDispose]: () => {
      if (held) {
        held = false;
        // Removed while still locked: who opens it meanwhile finds that its file has lost its name.
        rmSync(path, { force: true });
        closeSync(fd);
      }
      return Promise.resolve();
    },
  };
}

function isFile(path: string, fd: number): boolean {
  try {
    const [named, opened] = [statSync(path), fstatSync(fd)];
    return named.ino === opened.ino && named.dev === opened.dev;
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return false;
    throw e;
  }
}
