import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOfHex, err, failure, isErrno, ok, parseDigest, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type {
  ActiveLayer,
  LayerChain,
  LayerEntry,
  LayerId,
  MountedTree,
  Snapshotter,
  TarOptions,
} from '../ports/index.ts';
import { inUserNamespace, syncFileSystem } from '../sys/index.ts';
import { DirectoryLayer, makeLayerDir, mountAt } from './active-layer.ts';
import { DigestFile } from './digest-file.ts';
import { diskUsage } from './disk-usage.ts';
import { LayerExtractor } from './extract.ts';
import { layerEntries } from './layer-entries.ts';
import { layerTar } from './layer-tar.ts';
import { Layout } from './layout.ts';
import { OverlayTree } from './overlay-tree.ts';

/** A snapshotter on a local directory, with what its owner does at the end and at the start of a process's life. */
export interface LayerStore extends Snapshotter {
  /**
   * Writes all layers made by this process to the device and marks them: those survive a crash of the machine. Layers that
   * are not marked are trusted until the next boot (a killed process loses nothing) and dropped after it.
   */
  settle(): void;
  /** Removes what dead processes and crashes left behind. */
  sweep(): Promise<void>;
  /** Removes what dead processes worked with, mounts included; layers are not looked at. */
  sweepWork(): Promise<void>;
  /** Directories of whole layers; a layer that took something from those below it may have several. */
  directories(): AsyncIterable<{ readonly dir: string; readonly id: LayerId }>;
}

/** Options of `createSnapshotter`. */
export interface SnapshotterOptions {
  /** Directory of its own, on a file system that overlayfs takes as an upper layer. */
  readonly root: string;
  /** `user.overlay.*` attributes, for a process inside a user namespace; by default when this process is in one. */
  readonly userXattrs?: boolean;
}

/** Layers as directories in overlayfs form below `root`. */
export function createSnapshotter(options: SnapshotterOptions): LayerStore {
  return new DirectorySnapshotter(options);
}

class DirectorySnapshotter implements LayerStore {
  readonly #root: string;
  readonly #userXattrs: boolean;
  readonly #layout: Layout;
  readonly #unsettled = new Set<string>();
  /** One digest memo a layer directory, shared by all trees of this process. */
  readonly #digests = new Map<string, DigestFile>();

  constructor(options: SnapshotterOptions) {
    this.#root = options.root;
    this.#userXattrs = options.userXattrs ?? inUserNamespace();
    this.#layout = new Layout(options.root);
  }

  has(chain: LayerChain): Promise<boolean> {
    return Promise.resolve(chain.length === 0 || this.#layout.find(chain) !== undefined);
  }

  async apply(
    chain: LayerChain,
    tar: AsyncIterable<Uint8Array>,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<void>> {
    const top = chain.at(-1);
    if (top === undefined) throw new Error('a tar is applied as the top layer of a chain');
    await using work = this.#layout.work();
    const dir = makeLayerDir(work);
    const hash = createHash('sha256');
    const extractor = new LayerExtractor({
      dir,
      lower: this.#tree(chain.slice(0, -1)),
      userXattrs: this.#userXattrs,
    });
    const done = await extractor.extract(hashed(tar, hash), options.signal);
    if (!done.ok) return done;
    const expected = top.diffId ?? parseDigest(top.id);
    const actual = digestOfHex(hash.digest('hex'));
    if (expected !== undefined && actual !== expected)
      return err(
        failure('ST303', 3, `layer ${expected} is damaged: its content has the digest ${actual}`),
      );
    this.#unsettled.add(await this.#layout.install(work, chain, done.value.dependsOnLower));
    return ok(undefined);
  }

  begin(parents: LayerChain, options: { readonly lower?: FileTree } = {}): Promise<ActiveLayer> {
    const { lower } = options;
    const lowerDirs = lower === undefined ? this.#dirs(parents) : undefined;
    const work = this.#layout.work();
    // Brand constructor: ids of this form are made here only.
    const id = `new:${randomBytes(16).toString('hex')}` as LayerId;
    return Promise.resolve(
      new DirectoryLayer({
        id,
        parents,
        work,
        upper: makeLayerDir(work),
        lower: lower ?? this.#tree(parents),
        ...(lowerDirs === undefined ? {} : { lowerDirs }),
        userXattrs: this.#userXattrs,
        install: async (chain) => {
          this.#unsettled.add(await this.#layout.install(work, chain, false));
        },
      }),
    );
  }

  tree(chain: LayerChain): Promise<OverlayTree> {
    return Promise.resolve(this.#tree(chain));
  }

  entries(chain: LayerChain): Iterable<LayerEntry> {
    return layerEntries(this.#dir(chain));
  }

  async mount(chain: LayerChain): Promise<MountedTree> {
    const dirs = this.#dirs(chain);
    const work = this.#layout.work();
    try {
      // Overlayfs wants two lower directories where there is no upper one.
      const empty = join(work.path, 'empty');
      mkdirSync(empty, 0o755);
      const lower = [...dirs.toReversed(), empty];
      if (dirs.length === 0) lower.push(makeLayerDir(work));
      return mountAt(work.path, { lower, userXattrs: this.#userXattrs }, () =>
        work[Symbol.asyncDispose](),
      );
    } catch (e) {
      await work[Symbol.asyncDispose]();
      throw e;
    }
  }

  tar(chain: LayerChain, options: TarOptions): AsyncIterable<Uint8Array> {
    const { lower, ...rest } = options;
    return layerTar(this.#dir(chain), lower ?? this.#tree(chain.slice(0, -1)), rest);
  }

  async usage(id: LayerId): Promise<number | undefined> {
    const dirs = await this.#layout.variants(id);
    if (dirs.length === 0) return undefined;
    return dirs.reduce((sum, dir) => sum + diskUsage(dir), 0);
  }

  async remove(id: LayerId): Promise<void> {
    for (const dir of await this.#layout.variants(id)) {
      this.#digests.delete(dir);
      this.#unsettled.delete(dir);
      await this.#layout.discard(dir);
    }
  }

  async *list(): AsyncGenerator<LayerId> {
    const seen = new Set<LayerId>();
    for await (const { id } of this.#layout.layers()) {
      if (seen.has(id)) continue;
      seen.add(id);
      yield id;
    }
  }

  settle(): void {
    if (this.#unsettled.size === 0) return;
    syncFileSystem(this.#root);
    for (const dir of this.#unsettled) {
      try {
        writeFileSync(join(dir, 'synced'), '');
      } catch (e) {
        // Another process removed the layer.
        if (!isErrno(e, 'ENOENT')) throw e;
      }
    }
    this.#unsettled.clear();
  }

  sweep(): Promise<void> {
    return this.#layout.sweep();
  }

  directories(): AsyncIterable<{ readonly dir: string; readonly id: LayerId }> {
    return this.#layout.layers();
  }

  sweepWork(): Promise<void> {
    return this.#layout.sweepWork();
  }

  /** The `fs` directory of the top layer. */
  #dir(chain: LayerChain): string {
    const dir = this.#layout.find(chain);
    if (dir === undefined)
      throw new Error(`layer ${chain.at(-1)?.id ?? 'of scratch'} is not extracted`);
    return join(dir, 'fs');
  }

  /** The `fs` directories of a chain, lowest first. */
  #dirs(chain: LayerChain): string[] {
    return chain.map((_, i) => this.#dir(chain.slice(0, i + 1)));
  }

  #tree(chain: LayerChain): OverlayTree {
    return new OverlayTree(
      this.#dirs(chain).map((dir) => {
        const layer = join(dir, '..');
        const digests = this.#digests.get(layer) ?? new DigestFile(join(layer, 'digests'));
        this.#digests.set(layer, digests);
        return { dir, digests };
      }),
    );
  }
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: { update(data: Uint8Array): unknown },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
