import type { FileTree } from '../cachekey/index.ts';

/** Scratch: a tree that has nothing but its root. */
export const EMPTY_TREE: FileTree = {
  rootHeader: 'entry',
  lstat: (path) =>
    path === '/'
      ? { type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n, xattrs: new Map() }
      : undefined,
  list: () => [],
  digest: (path) => Promise.reject(new Error(`no entry ${path} in scratch`)),
  read: (path) => {
    throw new Error(`no file ${path} in scratch`);
  },
  diskPath: () => undefined,
};
