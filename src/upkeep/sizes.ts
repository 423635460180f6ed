import type { Stats } from 'node:fs';
import type { Entry } from '../gc/index.ts';
import type { Measured } from '../ports/index.ts';
import { LinkedFiles, measureDisk } from '../snapshot/index.ts';

type Size = Pick<Entry, 'bytes' | 'shared'>;

/**
 * Disk space of trees; what cannot have changed since it was measured is not measured again. Trees that share files with others are
 * never remembered: which of them counts a file depends on the others.
 */
export class Sizes {
  readonly #known: ReadonlyMap<string, Measured>;
  readonly #files = new LinkedFiles();
  /** What was measured now, to be remembered. */
  readonly fresh = new Map<string, Measured>();

  constructor(known: ReadonlyMap<string, Measured>) {
    this.#known = known;
  }

  /**
   * Whether a file has a name that was not met: a tree that was remembered may have got it since then. All trees are
   * measured then.
   */
  get doubtful(): boolean {
    return this.#known.size > 0 && this.#files.unresolved;
  }

  /** Of a thing whose `stamp` changes whenever its size may have, but for names that others give to its files. */
  stamped(id: string, stamp: string, paths: readonly string[]): Size {
    const known = this.#known.get(id);
    if (known?.stamp === stamp) return { bytes: known.bytes, shared: 0 };
    const { bytes, shared, linked } = this.#measure(id, paths);
    this.fresh.set(id, { stamp: linked ? LINKED : stamp, bytes });
    return { bytes, shared };
  }

  /** Of a path whose status is known: nothing more is asked of a file that has one name. */
  known(path: string, stat: Stats): Size {
    if (stat.isFile() && stat.nlink === 1) return { bytes: stat.blocks * 512, shared: 0 };
    const { bytes, shared } = this.#measure(path, [path]);
    return { bytes, shared };
  }

  #measure(owner: string, paths: readonly string[]) {
    return measureDisk(paths, { owner, files: this.#files });
  }
}

/** The stamp of what is measured each time. */
const LINKED = 'linked';
