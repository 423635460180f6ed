import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno, removeAbandoned } from '../base/index.ts';

/** Folders of few files, which every command looks into; any command may have died in them. */
const SMALL = ['content', 'contexts'];

/** Folders that may hold many files or folders: they are looked through when a process died that held something. */
const LARGE = [
  'content/blobs/sha256',
  'content/ingest',
  'content/quarantine',
  'packages/index',
  'packages/lock',
  'snapshots/recent',
];

/** Removes unfinished files of dead processes where it costs nothing to look for them. */
export function removeUnfinishedSmall(root: string): void {
  for (const folder of SMALL) removeAbandoned(join(root, folder));
}

/** Removes the unfinished files of dead processes in all of the store. */
export function removeUnfinished(root: string): void {
  for (const folder of [...SMALL, ...LARGE]) removeAbandoned(join(root, folder));
  const releases = join(root, 'packages/release');
  for (const name of namesIn(releases)) removeAbandoned(join(releases, name));
  // mounts/<key>/<slot>
  const mounts = join(root, 'mounts');
  for (const key of namesIn(mounts))
    for (const slot of namesIn(join(mounts, key))) removeAbandoned(join(mounts, key, slot));
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw e;
  }
}
