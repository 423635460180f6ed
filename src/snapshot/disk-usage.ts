import { statOf } from './disk-entry.ts';
import { join, namesIn } from './layer-path.ts';

/** Disk space of trees. */
export interface DiskUse {
  /** Bytes of their own. */
  readonly bytes: number;
  /** Bytes of files that have another name in trees that were counted before, and count there. */
  readonly shared: number;
  /** A file has a name outside of these trees. */
  readonly linked: boolean;
}

/** Files with several names that were met so far. */
export class LinkedFiles {
  readonly #files = new Map<bigint, { readonly owner: string; missing: bigint }>();

  /** Whether a file has a name where nobody looked: somebody else may have counted it. */
  get unresolved(): boolean {
    return this.#files.values().some(({ missing }) => missing > 0n);
  }

  /** Notes one name of a file; who met it first. */
  meet({ ino, nlink }: { readonly ino: bigint; readonly nlink: bigint }, owner: string): string {
    const file = this.#files.get(ino) ?? { owner, missing: nlink };
    file.missing--;
    this.#files.set(ino, file);
    return file.owner;
  }
}

/** Bytes that directories and everything in them take on disk; a file with several names counts once. */
export function diskUsage(dirs: readonly string[]): number {
  return measureDisk(dirs, { owner: '', files: new LinkedFiles() }).bytes;
}

/**
 * Disk space of files and trees that belong together (`st_blocks` of 512 bytes, as du counts). A file of which `files` has
 * met a name of another owner is shared.
 */
export function measureDisk(
  paths: readonly string[],
  { owner, files }: { readonly owner: string; readonly files: LinkedFiles },
): DiskUse {
  let [bytes, shared] = [0, 0];
  const todo = [...paths];
  /** How many names of each file are not in these trees. */
  const outside = new Map<bigint, bigint>();
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const stat = statOf(path);
    if (stat === undefined) continue;
    const size = Number(stat.blocks) * 512;
    if (stat.nlink > 1n && !stat.isDirectory()) {
      const known = outside.get(stat.ino);
      outside.set(stat.ino, (known ?? stat.nlink) - 1n);
      const first = files.meet(stat, owner);
      if (known !== undefined) continue;
      if (first !== owner) {
        shared += size;
        continue;
      }
    }
    bytes += size;
    if (stat.isDirectory()) for (const name of namesIn(path)) todo.push(join(path, name));
  }
  return { bytes, shared, linked: outside.values().some((names) => names > 0n) };
}
