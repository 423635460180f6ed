import type { EventSink } from '../events/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { BlobFetcher } from '../ops/index.ts';
import type {
  Clock,
  ContentStore,
  LayerDb,
  LayerFetcher,
  LayerIndexes,
  MemoDb,
  Snapshotter,
} from '../ports/index.ts';

/** What making an image out of layers needs. */
export interface ImageDeps {
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly layers: LayerDb;
  readonly memo: MemoDb;
  readonly clock: Clock;
  /** Fetches a layer's blob that is elsewhere. */
  readonly fetchBlob: BlobFetcher;
  /** Makes layers ready that are elsewhere. */
  readonly materialise: LayerFetcher;
  /** What layers that are not here have; absent: layers that were written over them are read with all of them. */
  readonly indexes?: LayerIndexes;
  /** Processors that compression may use. */
  readonly maxParallel?: number;
}

/** For whom layers are written: progress is reported below `vertex`. */
export interface ExportContext {
  readonly signal: AbortSignal;
  readonly emit: EventSink;
  readonly vertex: Vertex;
}
