import { createHash, randomBytes } from 'node:crypto';

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  digestOfHex,
  err,
  failure,
  Inflight,
  isErrno,
  ok,
  parseDigest,
  type Result,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type {
  ActiveLayer,
  LayerChain,
  LayerEntry,
  LayerId,
  LayerRef,
  MountedTree,
  PackedLayer,
  PackOptions,
  Snapshotter,
  TarOptions,
} from '../ports/index.ts';

import { inUserNamespace, syncFileSystem } from '../sys/index.ts';
import { absentBelow, NeedsBelow } from './absent-below.ts';
import { DirectoryLayer, makeLayerDir, mountAt } from './active-layer.ts';
import { DigestFile } from './digest-file.ts';
import { diskUsage } from './disk-usage.ts';
import { LayerExtractor } from './extract.ts';

import { layerEntries } from './layer-entries.ts';
import { layerTar, tarOfChanges } from './layer-tar.ts';
import { DirectoryView, type LayerView } from './layer-view.ts';
import { Layout, PACKED, packNameOf } from './layout.ts';

import { OverlayTree } from './overlay-tree.ts';
import { extractPack } from './pack-extract.ts';
import { PackView } from './pack-view.ts';
import { RecordedLayer } from './packed-layer.ts';
import { EarlierPacks, RecentPacks } from './recent-packs.ts';

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

/** Layers below `root`: packed, and as directories in overlayfs form where something mounted them. */
export function createSnapshotter(options: SnapshotterOptions): LayerStore {
  return new DirectorySnapshotter(options);
}

class DirectorySnapshotter implements LayerStore {
  readonly #root: string;
  readonly #userXattrs: boolean;
  readonly #layout: Layout;
  readonly #unsettled = new Set<string>();
  readonly #recent: RecentPacks;
  /** One view a layer directory, shared by all trees of this process. */
  readonly #views = new Map<string, LayerView>();
  readonly #packs = new Map<string, PackView>();
  readonly #extractions = new Inflight<LayerId, string>();

  constructor(options: SnapshotterOptions) {
    this.#root = options.root;
    this.#userXattrs = options.userXattrs ?? inUserNamespace();
    this.#layout = new Layout(options.root);
    this.#recent = new RecentPacks(options.root);
  }

  has(chain: LayerChain): Promise<boolean> {
    const top = chain.at(-1);
    if (top === undefined) return Promise.resolve(true);
    const isHere = this.#layout.findPack(top.id) ?? this.#layout.find(chain);
    return Promise.resolve(isHere !== undefined);
  }

  apply(
    chain: LayerChain,
    tar: AsyncIterable<Uint8Array>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Result<void>> {
    return this.#extractTar(chain, tar, { signal, lower: this.#tree(chain.slice(0, -1)) });
  }

  async applyAhead(
    chain: LayerChain,
    tar: AsyncIterable<Uint8Array>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Result<boolean>> {
    const lower = absentBelow();
    try {
      const done = await this.#extractTar(chain, tar, { signal, lower });
      return done.ok ? ok(true) : done;
    } catch (e) {
      if (e instanceof NeedsBelow) return ok(false);
      throw e;
    }
  }

  async #extractTar(
    chain: LayerChain,
    tar: AsyncIterable<Uint8Array>,
    options: { readonly signal: AbortSignal; readonly lower: FileTree },
  ): Promise<Result<void>> {
    const top = chain.at(-1);
    if (top === undefined) throw new Error('a tar is applied as the top layer of a chain');
    await using work = this.#layout.work();
    const dir = makeLayerDir(work);
    const hash = createHash('sha256');
    const extractor = new LayerExtractor({
      dir,
      lower: options.lower,
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
    const form = done.value.dependsOnLower ? 'variant' : 'own';
    this.#unsettled.add(await this.#layout.install(work, chain, form));
    return ok(undefined);
  }

  begin(parents: LayerChain, options: { readonly lower?: FileTree } = {}): Promise<ActiveLayer> {
    const lower = options.lower ?? this.#tree(parents);
    const work = this.#layout.work();
    return Promise.resolve(
      new DirectoryLayer({
        id: newId('new:'),
        parents,
        work,
        upper: makeLayerDir(work),
        lower,
        lowerDirs: () => this.#dirs(parents),
        userXattrs: this.#userXattrs,
        install: async (chain) => {
          this.#unsettled.add(await this.#layout.install(work, chain, 'own'));
        },
      }),
    );
  }

  pack(parents: LayerChain, options: PackOptions = {}): Promise<PackedLayer> {
    const lower = options.lower ?? this.#tree(parents);
    const { like } = options;
    const work = this.#layout.work();
    const dir = join(work.path, 'layer');
    mkdirSync(dir);
    const earlier = like === undefined ? undefined : new EarlierPacks(() => this.#earlier(like));
    const layer = new RecordedLayer({
      id: newId(PACKED),
      parents,
      lower,
      dir,
      earlier,
      install: async (chain) => {
        this.#unsettled.add(await this.#layout.install(work, chain, 'pack'));
        const top = chain.at(-1);
        if (like !== undefined && top !== undefined) this.#recent.add(like, packNameOf(top.id));
      },
      drop: () => work[Symbol.asyncDispose](),
    });
    return Promise.resolve(layer);
  }

  tree(chain: LayerChain): Promise<OverlayTree> {
    return Promise.resolve(this.#tree(chain));
  }

  entries(chain: LayerChain): Iterable<LayerEntry> {
    return layerEntries(this.#view(chain));
  }

  async mount(chain: LayerChain): Promise<MountedTree> {
    const dirs = await this.#dirs(chain);
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
    const top = chain.at(-1);
    if (top === undefined) throw new Error('an empty chain has no layer tar');
    const pack = this.#pack(top.id);
    if (pack !== undefined) return tarOfChanges(pack, pack.changes(), options);
    const { lower, ...rest } = options;
    return layerTar(this.#view(chain), lower ?? this.#tree(chain.slice(0, -1)), rest);
  }

  async usage(id: LayerId): Promise<number | undefined> {
    const dirs = await this.#layout.variants(id);
    return dirs.length === 0 ? undefined : diskUsage(dirs);
  }

  async remove(id: LayerId): Promise<void> {
    for (const dir of await this.#layout.variants(id)) {
      this.#views.delete(dir);
      this.#packs.delete(dir);
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

  async sweep(): Promise<void> {
    await this.#layout.sweep();
    this.#recent.sweep((name) => existsSync(this.#layout.packPath(name)));
  }

  directories(): AsyncIterable<{ readonly dir: string; readonly id: LayerId }> {
    return this.#layout.layers();
  }

  sweepWork(): Promise<void> {
    return this.#layout.sweepWork();
  }

  /** The `fs` directories of a chain, lowest first; packed layers are extracted now. */
  async #dirs(chain: LayerChain): Promise<string[]> {
    const dirs: string[] = [];
    for (const [i, layer] of chain.entries()) {
      const dir = this.#layout.find(chain.slice(0, i + 1)) ?? (await this.#extract(layer));
      dirs.push(join(dir, 'fs'));
    }
    return dirs;
  }

  async #extract(layer: LayerRef): Promise<string> {
    const pack = this.#pack(layer.id);
    if (pack === undefined) throw notHere(layer);
    return await this.#extractions.do(layer.id, new AbortController().signal, async (signal) => {
      await using work = this.#layout.work();
      const dir = makeLayerDir(work);
      await extractPack(pack, { dir, userXattrs: this.#userXattrs }, signal);
      const installed = await this.#layout.install(work, [layer], 'own');
      this.#unsettled.add(installed);
      return installed;
    });
  }

  #tree(chain: LayerChain): OverlayTree {
    return new OverlayTree(chain.map((_, i) => this.#view(chain.slice(0, i + 1))));
  }

  #view(chain: LayerChain): LayerView {
    const top = chain.at(-1);
    if (top === undefined) throw new Error('an empty chain has no layer');
    const pack = this.#pack(top.id);
    if (pack !== undefined) return pack;
    const dir = this.#layout.find(chain);
    if (dir === undefined) throw notHere(top);
    const view =
      this.#views.get(dir) ??
      new DirectoryView(join(dir, 'fs'), new DigestFile(join(dir, 'digests')));
    this.#views.set(dir, view);
    return view;
  }

  #pack(id: LayerId): PackView | undefined {
    const dir = this.#layout.findPack(id);
    return dir === undefined ? undefined : this.#packAt(dir);
  }

  #packAt(dir: string): PackView {
    const known = this.#packs.get(dir);
    if (known !== undefined) return known;
    const view = new PackView(dir, basename(dir), new DigestFile(join(dir, 'digests')));
    this.#packs.set(dir, view);
    return view;
  }

  /** The packed layers made last under a name, as far as they are there. */
  #earlier(like: string): PackView[] {
    const dirs = this.#recent.of(like).map((name) => this.#layout.packPath(name));
    return dirs.filter((dir) => existsSync(dir)).map((dir) => this.#packAt(dir));
  }
}

function notHere(layer: LayerRef): Error {
  return new Error(`layer ${layer.id} is not extracted`);
}

/** Brand constructor: ids of these forms are made here only. */
function newId(prefix: 'new:' | typeof PACKED): LayerId {
  return `${prefix}${randomBytes(16).toString('hex')}` as LayerId;
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
