import { randomBytes } from 'node:crypto';

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Inflight, isErrno, ok, parseDigest, type Result } from '../base/index.ts';
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
import { applyTar } from './apply-tar.ts';
import { DigestFile } from './digest-file.ts';
import { diskUsage } from './disk-usage.ts';
import { layerEntries } from './layer-entries.ts';
import { layerTar, tarOfChanges } from './layer-tar.ts';
import { DirectoryView, type LayerView } from './layer-view.ts';
import { Layout, PACKED, packNameOf } from './layout.ts';
import { LowerLayers, notHere } from './lowers.ts';

import { OverlayTree } from './overlay-tree.ts';
import { extractPack } from './pack-extract.ts';
import { PackView } from './pack-view.ts';
import { RecordedLayer } from './packed-layer.ts';
import { EarlierPacks, RecentPacks } from './recent-packs.ts';

/**
 * A snapshotter on a local directory, with what its owner does at the end and at the start of a process's life. Disposing of it
 * takes away what it has mounted; trees that are still mounted keep it until they go.
 */
export interface LayerStore extends Snapshotter, AsyncDisposable {
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
  /** Whether layers are mounted as EROFS where the kernel can do that, or always extracted (when absent). */
  readonly form?: 'erofs' | 'directories';
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
  readonly #views = new Map<string, DirectoryView>();
  readonly #packs = new Map<string, PackView>();
  readonly #extractions = new Inflight<LayerId, string>();
  readonly #lowers: LowerLayers;

  constructor(options: SnapshotterOptions) {
    this.#root = options.root;
    this.#userXattrs = options.userXattrs ?? inUserNamespace();
    this.#layout = new Layout(options.root);
    this.#recent = new RecentPacks(options.root);
    this.#lowers = new LowerLayers({
      layout: this.#layout,
      mounting: options.form === 'erofs' && !this.#userXattrs,
      pack: (chain) => this.#pack(chain),
      extract: (layer, pack) => this.#extract(layer, pack),
    });
  }

  has(chain: LayerChain): Promise<boolean> {
    const top = chain.at(-1);
    if (top === undefined) return Promise.resolve(true);
    return Promise.resolve(this.#find(chain) !== undefined);
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
    const form = await applyTar(work, tar, {
      ...options,
      userXattrs: this.#userXattrs,
      digest: top.diffId ?? parseDigest(top.id),
      keep: await this.#lowers.canMount(),
    });
    if (!form.ok) return form;
    this.#unsettled.add(await this.#layout.install(work, chain, form.value));
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
        lowerDirs: () => this.#lowers.directories(parents),
        lowers: () => this.#lowers.of(parents),
        userXattrs: this.#userXattrs,
        install: async (chain) => {
          this.#unsettled.add(await this.#layout.install(work, chain, 'own'));
        },
      }),
    );
  }

  async pack(parents: LayerChain, options: PackOptions = {}): Promise<PackedLayer> {
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
      aligned: await this.#lowers.canMount(),
      install: async (chain) => {
        this.#unsettled.add(await this.#layout.install(work, chain, 'pack'));
        const top = chain.at(-1);
        if (like !== undefined && top !== undefined) this.#recent.add(like, packNameOf(top.id));
      },
      drop: () => work[Symbol.asyncDispose](),
    });
    return layer;
  }

  tree(chain: LayerChain): Promise<OverlayTree> {
    return Promise.resolve(this.#tree(chain));
  }

  entries(chain: LayerChain): Iterable<LayerEntry> {
    return layerEntries(this.#view(chain));
  }

  async mount(chain: LayerChain): Promise<MountedTree> {
    const work = this.#layout.work();
    try {
      const lowers = await this.#lowers.of(chain);
      // Overlayfs wants two lower directories where there is no upper one.
      const empty = join(work.path, 'empty');
      mkdirSync(empty, 0o755);
      const lower = [...lowers.dirs.toReversed(), empty];
      if (lowers.dirs.length === 0) lower.push(makeLayerDir(work));
      const overlay = { lower, userXattrs: this.#userXattrs, mixed: lowers.mixed };
      return mountAt(work.path, overlay, () => work[Symbol.asyncDispose]());
    } catch (e) {
      await work[Symbol.asyncDispose]();
      throw e;
    }
  }

  tar(chain: LayerChain, options: TarOptions): AsyncIterable<Uint8Array> {
    const top = chain.at(-1);
    if (top === undefined) throw new Error('an empty chain has no layer tar');
    const view = this.#view(chain);
    if (view instanceof PackView && top.id.startsWith(PACKED))
      return tarOfChanges(view, view.changes(), options);
    const { lower, ...rest } = options;
    return layerTar(view, lower ?? this.#tree(chain.slice(0, -1)), rest);
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lowers[Symbol.asyncDispose]();
  }

  async #extract(layer: LayerRef, pack: PackView): Promise<string> {
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
    const dir = this.#find(chain);
    if (dir === undefined) throw notHere(top);
    return this.#layout.isPack(dir) ? this.#packAt(dir) : this.#directoryAt(dir);
  }

  #directoryAt(dir: string): DirectoryView {
    const known = this.#views.get(dir);
    if (known !== undefined) return known;
    const view = new DirectoryView(join(dir, 'fs'), new DigestFile(join(dir, 'digests')));
    this.#views.set(dir, view);
    return view;
  }

  /** The form of a chain's top layer that is read: of a recorded one that which was recorded, of others the extracted one first. */
  #find(chain: LayerChain): string | undefined {
    const top = chain.at(-1);
    if (top === undefined) return undefined;
    const { id } = top;
    return id.startsWith(PACKED)
      ? (this.#layout.findPack(id) ?? this.#layout.find(chain))
      : (this.#layout.find(chain) ?? this.#layout.findPack(id));
  }

  #pack(chain: LayerChain): PackView | undefined {
    const id = chain.at(-1)?.id;
    const dir = id === undefined ? undefined : this.#layout.findPack(id);
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

/** Brand constructor: ids of these forms are made here only. */
function newId(prefix: 'new:' | typeof PACKED): LayerId {
  return `${prefix}${randomBytes(16).toString('hex')}` as LayerId;
}
