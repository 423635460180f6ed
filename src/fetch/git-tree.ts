import { chmodSync, lchownSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { err, failure, isErrno, ok, type Result } from '../base/index.ts';
import { setTimes } from '../sys/index.ts';

/** What a tree of a commit looks like in a layer. */
export interface PlaceOptions {
  readonly subdir: string;
  readonly keepGitDir: boolean;
  /** Time of every entry: the commit's, so that the same commit makes the same bytes. */
  readonly mtimeNs: bigint;
  /** The repository, for messages. */
  readonly shown: string;
  readonly signal: AbortSignal;
}

/** How many entries are treated before others get their turn. */
const BATCH = 256;

/** Moves the files of `tree`, or of a directory in it, into the empty directory `dir`, with owner, modes and times set. */
export async function placeFiles(
  tree: string,
  dir: string,
  options: PlaceOptions,
): Promise<Result<void>> {
  const root = subdirectory(tree, options);
  if (!root.ok) return root;
  let count = 0;
  const tidy = async (path: string): Promise<void> => {
    for (const name of readdirSync(path)) {
      const child = join(path, name);
      if (name === '.git' && !options.keepGitDir) {
        rmSync(child, { recursive: true, force: true });
        continue;
      }
      if (++count % BATCH === 0) await new Promise(setImmediate);
      options.signal.throwIfAborted();
      if (lstatSync(child).isDirectory()) await tidy(child);
      settle(child, options.mtimeNs);
    }
  };
  await tidy(root.value);
  for (const name of readdirSync(root.value)) renameSync(join(root.value, name), join(dir, name));
  settle(dir, options.mtimeNs);
  return ok(undefined);
}

/** The directory that is wanted, reached without leaving the tree through a symbolic link. */
function subdirectory(tree: string, { subdir, shown }: PlaceOptions): Result<string> {
  let at = tree;
  for (const part of subdir.split('/')) {
    if (part === '' || part === '.') continue;
    at = join(at, part);
    if (part === '..' || !isDirectory(at))
      return err(
        failure('SR003', 2, `repository ${shown} has no directory ${subdir}`, {
          help: 'the part behind # is REF:DIRECTORY',
        }),
      );
  }
  return ok(at);
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return false;
    throw e;
  }
}

/** Owner 0:0, mode 0644 or 0755 (git knows no others), and the time. */
function settle(path: string, mtimeNs: bigint): void {
  const stat = lstatSync(path);
  lchownSync(path, 0, 0);
  if (stat.isDirectory()) chmodSync(path, 0o755);
  else if (stat.isFile()) chmodSync(path, (stat.mode & 0o100) === 0 ? 0o644 : 0o755);
  setTimes(path, { atimeNs: mtimeNs, mtimeNs });
}
