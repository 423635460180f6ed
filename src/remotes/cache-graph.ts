import type { Digest } from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';

/** A link from a record's input to one of the records it may come from. */
export interface GraphLink {
  /** Index into `CacheGraph.records`. */
  readonly record: number;
  readonly selector?: Digest;
}

/** A layer of a result as a cache carries it. */
export interface GraphLayer {
  readonly blob: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly diffId: Digest;
  /** RFC 3339 with nanoseconds, as given by the exporter; absent when unknown. */
  readonly createdAt?: string;
}

/** A result of a record: the layers of its tree, lowest first. */
export interface GraphResult {
  readonly layers: readonly GraphLayer[];
  /** RFC 3339 with nanoseconds. */
  readonly createdAt?: string;
}

/** One node of the key graph: digest `sha256("<cache map digest>@<output>")`; a root has no inputs. */
export interface GraphRecord {
  readonly digest: Digest;
  /** Per input its alternative parents. */
  readonly inputs: readonly (readonly GraphLink[])[];
  readonly results: readonly GraphResult[];
}

/** An exported cache: what BuildKit calls a cache config (remotecache/v1). Records need no particular order. */
export interface CacheGraph {
  readonly records: readonly GraphRecord[];
  /** Blobs beside the layers, where the carrier lists such: file indexes of layers, traces of steps. */
  readonly attachments?: readonly Descriptor[];
  /** The manifest of the image whose inline cache it is: further blobs belong to what refers to that. */
  readonly image?: Digest;
}
