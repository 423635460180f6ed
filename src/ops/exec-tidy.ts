import { lstatSync, readdirSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fsPath, resolveInRoot } from '../base/index.ts';
import type { ActiveLayer } from '../ports/index.ts';
import { getXattr, setTimes } from '../sys/index.ts';

/**
 * Removes directories that the kernel copied up only because a mount point was made in them and that are as the parents
 * have them, so that mounts leave no trace in the layer. `points` are the mount points.
 */
export function dropUntouchedDirs(layer: ActiveLayer, points: readonly string[]): void {
  for (const point of points) {
    const at = resolveInRoot(point, (path) => layer.lower.lstat(path)?.link);
    if (at === undefined || at === '/') continue;
    for (let dir = dirname(at); dir !== '/'; dir = dirname(dir)) {
      if (!isUntouched(layer, dir)) break;
      removeDir(layer.upper, dir);
    }
  }
}

function isUntouched(layer: ActiveLayer, dir: string): boolean {
  const { lower } = layer;
  const path = layer.upper + dir;
  const own = lstatSync(fsPath(path), { bigint: true, throwIfNoEntry: false });
  const below = lower.lstat(dir);
  return (
    own?.isDirectory() === true &&
    below?.type === 'dir' &&
    own.mtimeNs === below.mtimeNs &&
    Number(own.mode & 0o7777n) === below.mode &&
    Number(own.uid) === below.uid &&
    Number(own.gid) === below.gid &&
    readdirSync(fsPath(path)).length === 0 &&
    getXattr(path, layer.opaqueXattr) === undefined
  );
}

function removeDir(upper: string, dir: string): void {
  const parent = upper + dirname(dir);
  const { atimeNs, mtimeNs } = lstatSync(fsPath(parent), { bigint: true });
  rmdirSync(fsPath(upper + dir));
  setTimes(parent, { atimeNs, mtimeNs });
}
