import { writeSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isErrno } from './errno.ts';
import { makeDirectory } from './make-directory.ts';
import { isAbandoned, TEMPORARY, temporaryName } from './temporary-name.ts';

/**
 * Writes a file that appears under its name only whole: a temporary file in the same directory, fsync, rename.
 * The temporary name starts with `.tmp-` and says whose it is; a crash leaves at most that. `durable: false` leaves the fsync out, for files
 * that the user can make again and that no store refers to.
 */
export async function writeAtomically(
  path: string,
  data: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: { readonly mode?: number; readonly durable?: boolean } = {},
): Promise<void> {
  makeDirectory(dirname(path));
  const tmp = join(dirname(path), temporaryName(basename(path)));
  try {
    const file = await open(tmp, 'wx', options.mode ?? 0o644);
    try {
      if (typeof data === 'string' || data instanceof Uint8Array) await file.writeFile(data);
      else for await (const chunk of data) await writeAll(file, chunk);
      if (options.durable !== false) await file.sync();
    } finally {
      await file.close();
    }
    await rename(tmp, path);
  } catch (e) {
    await rm(tmp, { force: true });
    throw e;
  }
}

/** Writes all of some bytes where the file stands; `FileHandle.write` may write less than it was given (a nearly full disk). */
export async function writeAll(file: FileHandle, data: Uint8Array, from?: number): Promise<void> {
  for (let at = 0; at < data.length; ) {
    const position = from === undefined ? null : from + at;
    const { bytesWritten } = await file.write(data, at, data.length - at, position);
    at += bytesWritten;
  }
}

/** The same without waiting, for what is written in pieces too small to wait for. */
export function writeAllSync(fd: number, data: Uint8Array, from?: number): void {
  for (let at = 0; at < data.length; )
    at += writeSync(fd, data, at, data.length - at, from === undefined ? null : from + at);
}

/**
 * Removes what killed processes left under temporary names in a directory. Of a process that cannot be looked up here, one that
 * was written to within `olderThanMs` may still be somebody's. Returns how many it removed.
 */
export async function sweepTemporaries(
  dir: string,
  options: { readonly olderThanMs: number; readonly now: number },
): Promise<number> {
  let removed = 0;
  for (const name of await readdir(dir).catch(ifAbsent([]))) {
    if (!name.startsWith(TEMPORARY)) continue;
    const path = join(dir, name);
    const info = await stat(path).catch(ifAbsent(undefined));
    if (info === undefined) continue;
    if (!isAbandoned(name) && options.now - info.mtimeMs < options.olderThanMs) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

function ifAbsent<T>(value: T): (e: unknown) => T {
  return (e) => {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return value;
    throw e;
  };
}
