import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, TempDir } from '../base/index.ts';
import { type Io, realStoreRoot } from './io.ts';
import { removeUnfinishedSmall } from './unfinished.ts';

/**
 * Removes what killed processes left in the store: mounts, control groups, processes of steps, half-made layers, temporary
 * directories, unfinished files, what a trim had moved aside. Every command begins with it; where nothing was left it looks into
 * six directories and loads nothing.
 */
export async function removeLeftovers(io: Io): Promise<void> {
  const root = realStoreRoot(io);
  const [run, snapshots, tmp] = ['run', 'snapshots', 'tmp'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  const [hasRuns, hasWork] = [
    namesIn(join(run, 'owners')).length > 0,
    hasDirectories(join(snapshots, 'work')),
  ];
  if (hasRuns) {
    const { removeAbandonedRuns } = await import('../sandbox/index.ts');
    await removeAbandonedRuns(run);
  }
  if (hasWork) {
    const { createSnapshotter } = await import('../snapshot/index.ts');
    await createSnapshotter({ root: snapshots }).sweepWork();
  }
  // A mount in a directory of another process would lead out of it.
  if (namesIn(tmp).length > 0 && !readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${tmp}/`))
    await TempDir.sweep(tmp);
  removeUnfinishedSmall(root);
  if (namesIn(join(root, 'trash')).length > 0) await emptyTrash(root);
  // Opening the store drops leases; what they held is there to be trimmed, also where nothing else is done.
  if ((hasRuns || hasWork) && existsSync(join(root, 'state.db'))) {
    const { openStore } = await import('./store.ts');
    const opened = openStore(io);
    if (opened.ok) opened.value[Symbol.dispose]();
  }
}

/** What a trim moved there and did not get to delete; a trim that is at work deletes it itself. */
async function emptyTrash(root: string): Promise<void> {
  const { createWorkLocks } = await import('../cachedb/index.ts');
  try {
    const lock = await createWorkLocks(join(root, 'locks')).tryLock('gc');
    if (lock === undefined) return;
    await using _held = lock;
    await rm(join(root, 'trash'), { recursive: true, force: true });
  } catch (e) {
    if (!isErrno(e, 'EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT')) throw e;
  }
}

/** Told by the number of links, which most file systems keep for directories; 1 is what the others say. */
function hasDirectories(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.nlink !== 2;
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'EACCES', 'ENOTDIR')) return [];
    throw e;
  }
}
