import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOfHex, isErrno } from '../base/index.ts';
import { modifiedAt } from './directory-files.ts';

/** One export in a shared directory: the file `scopes/<scope>/<digest>` with the bytes of its manifest. */
export interface DirectoryEntry {
  readonly path: string;
  readonly digest: Digest;
  /** By the clock of the file server. */
  readonly at: number;
}

const NAME = /^[0-9a-f]{64}$/;
/** Names at the beginning of which a file is not complete (`writeAtomically`). */
export const UNFINISHED = '.tmp-';

/** Names in a folder; none when there is no such folder. */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'ESTALE', 'EACCES')) return [];
    throw new Error(`reading ${path}`, { cause: e });
  }
}

/** The folder of a scope. */
export function scopeFolder(dir: string, scope: string): string {
  return join(dir, 'scopes', scope);
}

/** The exports of a scope, the newest first; what is no export, or is not complete, is passed over. */
export async function entriesOf(dir: string, scope: string): Promise<readonly DirectoryEntry[]> {
  const folder = scopeFolder(dir, scope);
  const found: DirectoryEntry[] = [];
  for (const name of await namesIn(folder)) {
    if (!NAME.test(name)) continue;
    const path = join(folder, name);
    const at = await modifiedAt(path);
    if (at !== undefined) found.push({ path, digest: digestOfHex(name), at });
  }
  return found.sort((a, b) => b.at - a.at || (a.path < b.path ? -1 : 1));
}
