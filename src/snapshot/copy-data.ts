import { closeSync, constants, copyFileSync, openSync } from 'node:fs';
import { fsPath, writeAllSync } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';

/** Makes a new file with the data of a regular file of a tree, inside the kernel where the tree has it as a file. */
export async function copyData(
  tree: FileTree,
  path: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const disk = tree.diskPath(path);
  if (disk !== undefined) {
    const flags = constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL;
    copyFileSync(fsPath(disk), fsPath(target), flags);
    return;
  }
  const fd = openSync(fsPath(target), 'wx', 0o600);
  try {
    for await (const chunk of tree.read(path, signal)) writeAllSync(fd, chunk);
  } finally {
    closeSync(fd);
  }
}
