import type { Digest, Result } from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import type { Millis } from '../events/index.ts';
import type { Descriptor } from '../oci/index.ts';

/**
 * Local identity of a layer, stable for the life of the store: the diffID for layers that came from outside,
 * `new:<random>` for layers made here (their diffID is computed when somebody needs it).
 */
export type LayerId = string & { readonly __brand: 'LayerId' };

/** A layer as results refer to it; bytes need not be on this machine. */
export interface LayerRef {
  readonly id: LayerId;
  /** SHA-256 of the uncompressed tar, once known. */
  readonly diffId?: Digest;
  /** A compressed form known to exist, here or at `origin`. */
  readonly blob?: Descriptor;
  /** Where the blob can be had: `docker-image://registry/repo`, `oci-layout:///path`; absent when only here. */
  readonly origin?: string;
  readonly createdAt: Millis;
}

/** The layers of a file tree, lowest first; empty is scratch. */
export type LayerChain = readonly LayerRef[];

/** Extracted layers on disk, and overlay mounts over them. The last element of a chain is the layer meant. */
export interface Snapshotter {
  /** Whether the top layer of `chain` is extracted (given the layers below it). */
  has(chain: LayerChain): Promise<boolean>;
  /**
   * Extracts a layer tar (uncompressed, OCI whiteouts) as the top of `chain`. The stream is hashed; a digest other than
   * the layer's diffID is a failure and nothing is left. Refuses what leaves the root (escapes, links through symlinks).
   */
  apply(
    chain: LayerChain,
    tar: AsyncIterable<Uint8Array>,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<void>>;
  /**
   * Starts a new layer on top of extracted `parents`; with their tree given as `lower` they need not be extracted, and the
   * layer cannot be mounted. Disposing it without `commit` drops it.
   */
  begin(parents: LayerChain, options?: { readonly lower?: FileTree }): Promise<ActiveLayer>;
  /** The merged tree of extracted layers, read from disk without mounting; content digests come from the layers' indexes. */
  tree(chain: LayerChain): Promise<FileTree>;
  /** What the extracted top layer of `chain` itself has, parents before children, in byte order of names. */
  entries(chain: LayerChain): Iterable<LayerEntry>;
  /** Mounts the merged tree read-only at a directory of the snapshotter's own until disposed. */
  mount(chain: LayerChain): Promise<MountedTree>;
  /** The layer's tar as it enters an image: sorted, with OCI whiteouts, xattrs and hard links; the same bytes every time. */
  tar(chain: LayerChain, options: TarOptions): AsyncIterable<Uint8Array>;
  /** Bytes on disk of one extracted layer. */
  usage(id: LayerId): Promise<number | undefined>;
  remove(id: LayerId): Promise<void>;
  list(): AsyncIterable<LayerId>;
}

export interface TarOptions {
  readonly signal: AbortSignal;
  /** Clamps entry times to this many seconds since the epoch (`rewrite-timestamp`). */
  readonly epoch?: number;
  /** The tree below the layer; absent: the layers below are extracted. */
  readonly lower?: FileTree;
}

/** One entry of a layer's own: what it puts at a path, or that it removes what is below. */
export type LayerEntry =
  | {
      readonly path: string;
      readonly kind: 'set';
      readonly entry: FileEntry;
      /** A directory that hides what the layers below have in it. */
      readonly opaque?: boolean;
      /** The bytes of a file that an index carries (the databases of users and groups). */
      readonly data?: Uint8Array;
    }
  | { readonly path: string; readonly kind: 'gone' };

export interface MountedTree extends AsyncDisposable {
  readonly path: string;
}

/** A layer being written. */
export interface ActiveLayer extends AsyncDisposable {
  readonly id: LayerId;
  readonly parents: LayerChain;
  /** Directory of the layer's own entries in overlayfs form: whiteouts are character devices 0:0, opaque directories have `opaqueXattr=y`. */
  readonly upper: string;
  /** `trusted.overlay.opaque`, or in a user namespace `user.overlay.opaque`. */
  readonly opaqueXattr: string;
  /** The parents' merged tree (as it was at the start). */
  readonly lower: FileTree;
  /** Mounts parents and upper read-write as one tree until disposed. */
  mount(): Promise<MountedTree>;
  /** Makes the layer permanent under its id. */
  commit(options: { readonly createdAt: Millis }): Promise<LayerRef>;
}
