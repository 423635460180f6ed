import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { fsPath } from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import { makeNode, setTimes, setXattr } from '../sys/index.ts';

/** How long the event loop may be held. */
const SLICE_MS = 15;

/** Copies a whole tree into an existing empty directory: data (shared with the original where it can be), metadata, links. */
export async function writeTree(tree: FileTree, dir: string, signal: AbortSignal): Promise<void> {
  const links = new Map<string, string>();
  let until = performance.now() + SLICE_MS;
  const pause = async (): Promise<void> => {
    if (performance.now() < until) return;
    await new Promise(setImmediate);
    signal.throwIfAborted();
    until = performance.now() + SLICE_MS;
  };
  const enter = async (path: string): Promise<void> => {
    for (const name of tree.list(path)) {
      await pause();
      const child = path === '/' ? `/${name}` : `${path}/${name}`;
      const entry = tree.lstat(child);
      if (entry === undefined) continue;
      await make(tree, child, entry, { target: `${dir}${child}`, links, signal });
      if (entry.type === 'dir') await enter(child);
      finish(`${dir}${child}`, entry);
    }
  };
  await enter('/');
  const root = tree.lstat('/');
  if (root !== undefined) finish(dir, root);
}

async function make(
  tree: FileTree,
  path: string,
  entry: FileEntry,
  to: {
    readonly target: string;
    readonly links: Map<string, string>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const target = fsPath(to.target);
  switch (entry.type) {
    case 'dir':
      mkdirSync(target);
      return;
    case 'symlink':
      symlinkSync(fsPath(entry.link ?? ''), target);
      return;
    case 'file': {
      const first = entry.inode === undefined ? undefined : to.links.get(entry.inode);
      if (first !== undefined) {
        linkSync(fsPath(first), target);
        return;
      }
      const disk = entry.size === 0 ? undefined : tree.diskPath(path);
      if (entry.size === 0) writeFileSync(target, '');
      else if (disk === undefined) await writeStream(target, tree.read(path, to.signal));
      else copyFileSync(fsPath(disk), target, constants.COPYFILE_FICLONE);
      if (entry.inode !== undefined) to.links.set(entry.inode, to.target);
      return;
    }
    case 'char':
    case 'block':
    case 'fifo':
    case 'socket':
      makeNode(to.target, { type: entry.type, mode: entry.mode, ...entry.device });
  }
}

async function writeStream(
  target: string | Buffer,
  data: AsyncIterable<Uint8Array>,
): Promise<void> {
  const fd = openSync(target, 'wx', 0o600);
  try {
    for await (const chunk of data)
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
  } finally {
    closeSync(fd);
  }
}

function finish(path: string, entry: FileEntry): void {
  lchownSync(fsPath(path), entry.uid, entry.gid);
  // These would change what the layer means (Linux, overlayfs.rst).
  for (const [name, value] of entry.xattrs)
    if (!/^(?:trusted|user)\.overlay\./.test(name)) setXattr(path, name, value);
  if (entry.type !== 'symlink') chmodSync(fsPath(path), entry.mode);
  setTimes(path, { atimeNs: entry.mtimeNs, mtimeNs: entry.mtimeNs });
}
