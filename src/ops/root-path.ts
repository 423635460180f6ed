import { randomUUID } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno, resolveInRoot } from '../base/index.ts';

/**
 * Where a path of a root lies on disk: links are followed as by a process whose root it is, for packages may have made any. A
 * loop of links leads to a place in the root where nothing is.
 */
export const inRoot = (root: string, path: string): string => placeOf(root, path, 'follow');

/** The same, but the last component is the entry itself, be it a link or not. */
export const entryInRoot = (root: string, path: string): string => placeOf(root, path, 'keep');

/** A name that no package can have chosen. */
const NOWHERE = `.${randomUUID()}`;

function placeOf(root: string, path: string, last: 'follow' | 'keep'): string {
  const readlink = (at: string): string | undefined => linkAt(join(root, at));
  return join(root, resolveInRoot(path, readlink, { last }) ?? NOWHERE);
}

/** The target of a link; undefined where there is none. */
export function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (e) {
    if (isErrno(e, 'EINVAL', 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw e;
  }
}
