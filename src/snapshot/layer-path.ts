import { readdirSync } from 'node:fs';
import { fsPath, isErrno, nameOfBytes } from '../base/index.ts';

/** Names in a directory on disk, unsorted; none when it is absent or not a directory. */
export function namesIn(disk: string): string[] {
  try {
    return readdirSync(fsPath(disk), { encoding: 'buffer' }).map(nameOfBytes);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return [];
    throw e;
  }
}

/** The directory that holds a clean absolute path. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** Joins two clean paths; `path` may start with a slash. */
export function join(dir: string, path: string): string {
  if (path === '/' || path === '') return dir;
  const base = dir === '/' ? '' : dir;
  return path.startsWith('/') ? base + path : `${base}/${path}`;
}
