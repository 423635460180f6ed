import type { Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { LayerChain, LayerId, LayerRef, MountedTree } from './snapshotter.ts';

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
  /** Mounts the merged tree read-only until disposed; makes it ready as `materialise` does. */
  mount(chain: LayerChain, context: TreeContext): Promise<Result<MountedTree>>;
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
