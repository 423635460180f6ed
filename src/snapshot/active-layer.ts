import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { ActiveLayer, LayerChain, LayerId, LayerRef, MountedTree } from '../ports/index.ts';
import { mountOverlay, unmount, unmountIfMounted } from '../sys/index.ts';
import { dropNeedlessOpaque } from './needless-opaque.ts';
import { takeIn } from './take-in.ts';
import type { WorkDir } from './work-dir.ts';

interface ActiveParts {
  readonly id: LayerId;
  readonly parents: LayerChain;
  readonly work: WorkDir;
  readonly upper: string;
  readonly lower: FileTree;
  /** Their directories, made where they are not there yet. */
  readonly lowerDirs: () => Promise<readonly string[]>;
  /** What an overlay can be made of. */
  readonly lowers: () => Promise<Lowers>;
  readonly userXattrs: boolean;
  readonly install: (chain: LayerChain) => Promise<void>;
}

/** Layers as directories, lowest first. */
export interface Lowers {
  readonly dirs: readonly string[];
  /** They are on several file systems. */
  readonly mixed: boolean;
}

/** A layer being written: its upper directory lies in the working directory until the commit moves it. */
export class DirectoryLayer implements ActiveLayer {
  readonly #parts: ActiveParts;
  readonly #mounts = new Set<MountedTree>();
  #mountCount = 0;
  /** A mount was made of several file systems. */
  #mixed = false;
  #state: 'open' | 'committed' | 'dropped' = 'open';

  constructor(parts: ActiveParts) {
    this.#parts = parts;
  }

  get id(): LayerId {
    return this.#parts.id;
  }

  get parents(): LayerChain {
    return this.#parts.parents;
  }

  get upper(): string {
    return this.#parts.upper;
  }

  get opaqueXattr(): string {
    return this.#parts.userXattrs ? 'user.overlay.opaque' : 'trusted.overlay.opaque';
  }

  get lower(): FileTree {
    return this.#parts.lower;
  }

  async mount(): Promise<MountedTree> {
    if (this.#state !== 'open') throw new Error('the layer is finished');
    const { work, upper, userXattrs } = this.#parts;
    const lowers = await this.#parts.lowers();
    this.#mixed ||= lowers.mixed;
    const scratch = join(work.path, `work${this.#mountCount++}`);
    const empty = join(work.path, 'empty');
    mkdirSync(scratch);
    mkdirSync(empty, { recursive: true });
    const lower = lowers.dirs.length === 0 ? [empty] : lowers.dirs.toReversed();
    const tree = mountAt(
      work.path,
      // A crash drops the layer anyway: nothing is gained by syncing it.
      {
        lower,
        upper: { dir: upper, work: scratch },
        userXattrs,
        volatile: true,
        mixed: lowers.mixed,
      },
      () => Promise.resolve(void this.#mounts.delete(tree)),
    );
    this.#mounts.add(tree);
    return tree;
  }

  async commit(options: {
    readonly createdAt: number;
    readonly standalone?: boolean;
  }): Promise<LayerRef> {
    if (this.#state !== 'open') throw new Error('the layer is finished');
    if (this.#mounts.size > 0) throw new Error('the layer is still mounted');
    const ref: LayerRef = { id: this.id, createdAt: options.createdAt };
    if (this.#mixed) dropNeedlessOpaque(this.upper, this.lower, this.opaqueXattr);
    if (options.standalone === true && this.parents.length > 0)
      takeIn(await this.#parts.lowerDirs(), this.upper);
    await this.#parts.install(options.standalone === true ? [ref] : [...this.parents, ref]);
    this.#state = 'committed';
    await this.#parts.work[Symbol.asyncDispose]();
    return ref;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'dropped';
    for (const tree of [...this.#mounts]) await tree[Symbol.asyncDispose]();
    await this.#parts.work[Symbol.asyncDispose]();
  }
}

/** Mounts an overlay at a new directory `mount*` of a working directory. */
export function mountAt(
  work: string,
  overlay: Omit<Parameters<typeof mountOverlay>[0], 'target'>,
  after: () => Promise<void>,
): MountedTree {
  const path = join(work, `mount${randomBytes(4).toString('hex')}`);
  mkdirSync(path);
  mountOverlay({ ...overlay, target: path });
  let mounted = true;
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      if (!mounted) return;
      mounted = false;
      try {
        unmount(path);
      } catch (e) {
        if (!isErrno(e, 'EBUSY')) throw e;
        unmountIfMounted(path);
      }
      rmdirSync(path);
      await after();
    },
  };
}

/** `layer/fs`: the directory of a layer to be, with the metadata of a snapshot's root. */
export function makeLayerDir(work: WorkDir): string {
  const dir = join(work.path, 'layer', 'fs');
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o755);
  return dir;
}
