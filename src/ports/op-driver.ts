import type { Digest, Result } from '../base/index.ts';
import type { ListedEntries } from '../cachekey/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { LayerChain } from './snapshotter.ts';

/** The cacheable value of one op output; undefined outputs were dropped (mount output -1). */
export type OpResult = LayerChain;

/** How an op enters cache keys (BuildKit `solver.CacheMap`). */
export interface CacheMap {
  /** Digest of the op itself (`cachekey`), independent of its inputs. */
  readonly digest: Digest;
  /** One per input of the op. */
  readonly deps: readonly CacheDep[];
  /** For sources: further digests under which the same result is known (an image's chain ID key). */
  readonly alternatives?: readonly Digest[];
  /**
   * The digest holds for this build only (a local directory): neither record nor result is kept under it, and what is made
   * from it is found by content keys alone.
   */
  readonly volatile?: boolean;
  /** What a person should read of the identity (image digest, context name): kept with decisions. */
  readonly describes?: string;
}

export interface CacheDep {
  /** Digest of the input's paths that the op selects; absent: the whole input. */
  readonly selector?: Digest;
  /** Whether `OpDriver.contentKey` can be asked for this input. */
  readonly hasContentKey: boolean;
}

/** What the solver hands an op for one call. */
export interface OpContext {
  readonly signal: AbortSignal;
  readonly emit: EventSink;
  /** The vertex events belong to. */
  readonly vertex: Vertex;
  /** Is told the entries behind a content digest when it is computed: what explains a later difference. */
  readonly listed?: (entries: ListedEntries) => void;
}

/** What the solver needs of an op kind; the solver itself knows none. */
export interface OpDriver {
  cacheMap(context: OpContext): Promise<Result<CacheMap>>;
  /** Content digest of the paths of input `index` that the op selects. Needs the input's result. */
  contentKey(context: OpContext, index: number, input: OpResult): Promise<Result<Digest>>;
  /** Executes the op; one result per output. */
  run(
    context: OpContext,
    inputs: readonly OpResult[],
  ): Promise<Result<readonly (OpResult | undefined)[]>>;
}

/** Finds the driver of an op. */
export type OpResolver = (vertex: Vertex) => OpDriver;
