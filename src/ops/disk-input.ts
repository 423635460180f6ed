import { closeSync, openSync, readSync } from 'node:fs';
import { fsPath, resolveInRoot } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { Ext4Data, Ext4Node, Ext4Source } from '../ext4/index.ts';

/** A path of a tree with all links followed inside it. */
export const resolved = (tree: FileTree, path: string): string =>
  resolveInRoot(path, (at) => tree.lstat(at)?.link) ?? path;

/** Opens a regular file of a tree, wherever its data is. */
export function openData(tree: FileTree, path: string, signal: AbortSignal): Ext4Data {
  const small = tree.readNow?.(path);
  if (small !== undefined) return fromMemory(small);
  const disk = tree.diskPath(path);
  return disk === undefined ? fromStream(tree.read(path, signal)) : fromFile(disk);
}

function fromMemory(bytes: Uint8Array): Ext4Data {
  // The next call of the tree may overwrite them.
  const data = Buffer.from(bytes);
  let done = 0;
  return {
    read: (into, at, length) => {
      const n = data.copy(into, at, done, done + length);
      done += n;
      return n;
    },
    [Symbol.dispose]: () => undefined,
  };
}

function fromFile(path: string): Ext4Data {
  const fd = openSync(fsPath(path), 'r');
  return {
    read: (into, at, length) => readSync(fd, into, at, length, null),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function fromStream(chunks: AsyncIterable<Uint8Array>): Ext4Data {
  const source = chunks[Symbol.asyncIterator]();
  let left = new Uint8Array(0);
  return {
    read: async (into, at, length) => {
      while (left.length === 0) {
        const next = await source.next();
        if (next.done === true) return 0;
        left = Buffer.from(next.value);
      }
      const n = Math.min(length, left.length);
      into.set(left.subarray(0, n), at);
      left = left.subarray(n);
      return n;
    },
    [Symbol.dispose]: () => void source.return?.(),
  };
}

/** The part of a tree that one file system holds: `emptied` directories are there, what is in them is not. */
export function partOfTree(
  tree: FileTree,
  from: { readonly path: string; readonly emptied: readonly string[] },
  signal: AbortSignal,
): Ext4Source {
  const top = resolved(tree, from.path);
  const emptied = new Set(from.emptied.map((path) => resolved(tree, path)));
  const of = (path: string): string => (top === '/' ? path : path === '/' ? top : `${top}${path}`);
  const isThere = tree.lstat(top)?.type === 'dir';
  // A look-up costs as much as to open the file; here it has just been made.
  const disks = new Map<string, string>();
  return {
    lstat: (path) => {
      const at = of(path);
      const entry = tree.lstat(at);
      if (entry?.type === 'file' && entry.size > 0) {
        const disk = tree.diskPath(at);
        if (disk !== undefined) disks.set(path, disk);
      }
      return path === '/' && !isThere ? EMPTY : entry;
    },
    list: (path) => (emptied.has(of(path)) || !isThere ? [] : tree.list(of(path))),
    open: (path) => {
      const disk = disks.get(path);
      return disk === undefined ? openData(tree, of(path), signal) : fromFile(disk);
    },
  };
}

/** The root of a file system that nothing is copied to. */
const EMPTY: Ext4Node = {
  ...{ type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n },
  xattrs: new Map(),
};
