import { statOf } from './disk-entry.ts';
import { join, namesIn } from './layer-path.ts';

/** Disk space of a tree. */
export interface DiskUse {
  /** Bytes of its own. */
  readonly bytes: number;
  /** Bytes of files that have another name in a tree that was counted before. */
  readonly shared: number;
}

/** Bytes that directories and everything in them take on disk; a file with several names counts once. */
export function diskUsage(dirs: readonly string[]): number {
  const counted = new Map<bigint, string>();
  return dirs.reduce((sum, dir) => sum + measureDisk(dir, counted).bytes, 0);
}

/**
 * Disk space of a file or a tree (`st_blocks` of 512 bytes, as du counts). `counted` holds the files with several names
 * that were met so far and where: one that belongs to another tree is shared.
 */
export function measureDisk(root: string, counted: Map<bigint, string>): DiskUse {
  let [bytes, shared] = [0, 0];
  const todo = [root];
  const mine = new Set<bigint>();
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const stat = statOf(path);
    if (stat === undefined) continue;
    const size = Number(stat.blocks) * 512;
    if (stat.nlink > 1n && !stat.isDirectory()) {
      if (mine.has(stat.ino)) continue;
      mine.add(stat.ino);
      const owner = counted.get(stat.ino);
      if (owner !== undefined && owner !== root) {
        shared += size;
        continue;
      }
      counted.set(stat.ino, root);
    }
    bytes += size;
    if (stat.isDirectory()) for (const name of namesIn(path)) todo.push(join(path, name));
  }
  return { bytes, shared };
}
