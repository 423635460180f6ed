import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fsPath, isErrno, resolveInRoot } from '../base/index.ts';
import { setTimes } from '../sys/index.ts';

/** A place where something will be mounted. */
export interface MountPoint {
  readonly target: string;
  readonly type: 'file' | 'dir';
}

/** Mount points made for one run. */
export interface MountStubs {
  /**
   * Removes what was made and is still empty, and gives the directories around it their times back. Parents of mount
   * points stay unless `recursive`.
   */
  remove(options: { readonly recursive: boolean }): void;
}

interface Stub {
  readonly path: string;
  readonly type: 'file' | 'dir';
  /** The mount point itself; false for its missing parents. */
  readonly leaf: boolean;
}

/**
 * Makes the mount points that `rootfs` lacks. Symbolic links on the way are followed inside the root only; a mount point
 * that cannot be made (a file stands where a directory would have to be) is left to the runtime, which says so.
 */
export function makeMountStubs(rootfs: string, points: readonly MountPoint[]): MountStubs {
  const made: Stub[] = [];
  for (const point of points) {
    const path = resolveOnDisk(rootfs, point.target);
    if (path === undefined || path === '/') continue;
    const missing = missingParts(rootfs, path);
    keepingTimes(join(rootfs, dirname(missing[0] ?? path)), () => {
      for (const part of missing) {
        const stub = {
          path: part,
          type: part === path ? point.type : 'dir',
          leaf: part === path,
        } as const;
        if (!makeStub(rootfs, stub)) break;
        made.push(stub);
      }
    });
  }
  return {
    remove: ({ recursive }) => {
      for (const stub of made.toReversed()) if (stub.leaf || recursive) removeStub(rootfs, stub);
    },
  };
}

/** Makes what every container has something mounted on: a runtime would make it with the mask of this process, and it stays in the image. */
export function makeStandardDirectories(rootfs: string): void {
  for (const name of ['/proc', '/dev', '/sys']) {
    const path = resolveOnDisk(rootfs, name);
    if (path === undefined || exists(rootfs + path) || !exists(rootfs + dirname(path))) continue;
    makeStub(rootfs, { path, type: 'dir', leaf: true });
  }
}

/** Where `path` leads inside `rootfs`, as an absolute path of the root; undefined on a loop of symbolic links. */
export function resolveOnDisk(rootfs: string, path: string): string | undefined {
  return resolveInRoot(path, (at) => {
    const full = fsPath(rootfs + at);
    const stat = lstatSync(full, { throwIfNoEntry: false });
    return stat?.isSymbolicLink() === true ? readlinkSync(full) : undefined;
  });
}

function missingParts(rootfs: string, path: string): string[] {
  const missing: string[] = [];
  for (let at = path; at !== '/'; at = dirname(at)) {
    if (exists(rootfs + at)) break;
    missing.unshift(at);
  }
  return missing;
}

function exists(path: string): boolean {
  try {
    return lstatSync(fsPath(path), { throwIfNoEntry: false }) !== undefined;
  } catch (e) {
    if (isErrno(e, 'ENOTDIR')) return false;
    throw e;
  }
}

function makeStub(rootfs: string, stub: Stub): boolean {
  const path = fsPath(rootfs + stub.path);
  try {
    if (stub.type === 'dir') mkdirSync(path, 0o755);
    else closeSync(openSync(path, 'wx', 0o755));
    // Some of them stay in the image: the mask of this process must not be seen there.
    chmodSync(path, 0o755);
    return true;
  } catch (e) {
    if (isErrno(e, 'ENOTDIR', 'EEXIST', 'EROFS')) return false;
    throw e;
  }
}

function removeStub(rootfs: string, stub: Stub): void {
  // The step may have put a link in the way: what is removed must lie where it was made.
  const parent = dirname(stub.path);
  if (resolveOnDisk(rootfs, parent) !== parent) return;
  const path = fsPath(rootfs + stub.path);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (stat.isDirectory() ? readdirSync(path).length > 0 : !stat.isFile() || stat.size > 0) return;
  keepingTimes(rootfs + parent, () => (stat.isDirectory() ? rmdirSync(path) : unlinkSync(path)));
}

function keepingTimes(dir: string, work: () => void): void {
  const before = lstatSync(fsPath(dir), { bigint: true, throwIfNoEntry: false });
  work();
  if (before?.isDirectory() === true)
    setTimes(dir, { atimeNs: before.atimeNs, mtimeNs: before.mtimeNs });
}
