import { lstatSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, type GcPolicy } from '../gc/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { layerDirs, layerStamp } from './layer-entries.ts';
import { namesIn } from './names-in.ts';
import { Sizes } from './sizes.ts';
import { diskOf } from './trim.ts';

/**
 * Whether the store is over the cap, or the disk below its free space and the store larger than what is reserved for it, as
 * cheaply as it can be told: the whole disk is asked first, then sizes that were measured before are added up. Nothing is said
 * of ages and of budgets of kinds.
 */
export async function isOver(deps: UpkeepDeps, policy: GcPolicy): Promise<boolean> {
  const { root } = deps.paths;
  const disk = diskOf(root);
  const { maxUsedSpace, minFreeSpace, reservedSpace } = policy;
  const { bsize, blocks, bfree } = statfsSync(root);
  const cap = maxUsedSpace === undefined ? Infinity : bytesOf(maxUsedSpace, disk);
  const short = minFreeSpace !== undefined && disk.free < bytesOf(minFreeSpace, disk);
  // What the store may have at most; more than the whole disk has is not looked for.
  const reserved = reservedSpace === undefined ? 0 : bytesOf(reservedSpace, disk);
  const limit = short ? Math.min(cap, reserved) : cap;
  if ((blocks - bfree) * bsize <= limit) return false;
  return (await usedSpace(deps)) > limit;
}

/** About what the store takes on disk: layers and cache mounts as measured last, new layers as they are, files by their size. */
async function usedSpace(deps: UpkeepDeps): Promise<number> {
  const dirs = await layerDirs(deps);
  const quick = new Sizes(deps.db.measured());
  let sum = treesOf(deps, dirs, quick);
  deps.db.remember(quick.fresh);
  if (quick.doubtful) {
    const all = new Sizes(new Map());
    sum = treesOf(deps, dirs, all);
    deps.db.remember(all.fresh);
  }
  const { packages, content } = deps.paths;
  const pool = join(packages, 'pool');
  const files = [
    join(content, 'blobs/sha256'),
    ...namesIn(pool).map((shelf) => join(pool, shelf)),
    join(packages, 'index'),
  ];
  return files.reduce((all, dir) => all + filesIn(dir), sum);
}

/** Layers and cache mounts. */
function treesOf(
  deps: UpkeepDeps,
  dirs: Awaited<ReturnType<typeof layerDirs>>,
  sizes: Sizes,
): number {
  let sum = 0;
  for (const [id, paths] of dirs)
    sum += sizes.stamped(`layer:${id}`, layerStamp(paths), paths).bytes;
  for (const { path, usedAt } of deps.mounts.list()) {
    const slot = join(path, '..');
    const resource = `mount:${slot.slice(deps.paths.mounts.length + 1)}`;
    sum += sizes.stamped(resource, `${usedAt}`, [slot]).bytes;
  }
  return sum;
}

/** Disk space of the files of a directory, not of those in directories below it. */
function filesIn(dir: string): number {
  return namesIn(dir).reduce((sum, name) => {
    const stat = lstatSync(join(dir, name), { throwIfNoEntry: false });
    return sum + (stat?.blocks ?? 0) * 512;
  }, 0);
}
