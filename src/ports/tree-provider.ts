import type { Digest, Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { LayerChain, LayerEntry, LayerId, LayerRef, MountedTree } from './snapshotter.ts';

/** For whom something is made ready: transfers and extractions are reported below `vertex`. */
export interface TreeContext {
  readonly signal: AbortSignal;
  readonly emit: EventSink;
  readonly vertex: Vertex;
}

/**
 * The file trees of op results. A result's layers need not be extracted, nor even be on this machine, and a local source's
 * result is one layer with a reserved id that no snapshotter knows: op drivers ask here, never the snapshotter, unless the
 * chain came from `materialise`.
 */
export interface TreeProvider {
  /** The merged tree, for content keys and copies. A local source stays where it is: nothing is written. */
  tree(chain: LayerChain, context: TreeContext): Promise<Result<FileTree>>;
  /** The same chain as extracted layers that a `Snapshotter` accepts; local sources are written as a layer. */
  materialise(chain: LayerChain, context: TreeContext): Promise<Result<LayerChain>>;
  /**
   * What a new layer is written on: the chain as `materialise` gives it, or, where layers are not on this machine and their
   * file indexes are known, the chain as it is with its tree, whose files are brought here only when their data is read.
   */
  base(chain: LayerChain, context: TreeContext): Promise<Result<LayerBase>>;
  /** Mounts the merged tree read-only until disposed; makes it ready as `materialise` does. */
  mount(chain: LayerChain, context: TreeContext): Promise<Result<MountedTree>>;
}

/** The layers below a new one, and their tree when they are not extracted. */
export interface LayerBase {
  readonly chain: LayerChain;
  readonly lower?: FileTree;
}

/** File indexes of layers: what stands where without its data, so that a layer need not be here to be looked into. */
export interface LayerIndexes {
  /** Takes note of indexes that a cache offers for its layers, by the origin of those. */
  offer(origin: string, indexes: readonly Descriptor[]): void;
  /** Takes note of an image with an inline cache: what refers to it at `origin` is looked for when an index is wanted. */
  offerImage(origin: string, image: Digest): void;
  /** The blob with the index of a layer that is not here, as its cache has it; undefined for small ones that share a blob. */
  blobOf(layer: LayerRef): { readonly blob: Descriptor; readonly origin: string } | undefined;
  /** The entries of the top layer of `chain`: of its extracted copy, else of an index that can be had; else undefined. */
  entries(chain: LayerChain, context: TreeContext): Promise<readonly LayerEntry[] | undefined>;
  /** The tree of a chain by the entries of all its layers; undefined when they are not known. */
  tree(
    chain: LayerChain,
    context: TreeContext,
    /** Makes a beginning of the chain extracted, and gives its tree. */
    load: (chain: LayerChain) => Promise<Result<FileTree>>,
  ): Promise<FileTree | undefined>;
}

/** Pulls and extracts what a chain of real layers lacks on this machine (single flight by layer). */
export type LayerFetcher = (chain: LayerChain, context: TreeContext) => Promise<Result<void>>;

const LOCAL = 'local:';

/** The layer that stands for a local source: `local:<build>/<name>`; it exists only while its build runs. */
export function localLayer(build: string, name: string, createdAt: number): LayerRef {
  // Brand constructor: ids of this form are made here only.
  return { id: `${LOCAL}${build}/${name}` as LayerId, createdAt };
}

/** Whether a layer stands for a local source. */
export function isLocalLayer(id: LayerId): boolean {
  return id.startsWith(LOCAL);
}
