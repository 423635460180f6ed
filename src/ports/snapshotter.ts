import type { Digest, Result } from '../base/index.ts';
import type { FileEntry, FileTree, FileType } from '../cachekey/index.ts';
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
   * As `apply`, while layers below may still be on their way. The answer is false, and nothing is left, when the tar takes
   * something from them: a directory that it does not describe, or the target of a hard link.
   */
  applyAhead(
    chain: LayerChain,
    tar: AsyncIterable<Uint8Array>,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<boolean>>;
  /**
   * Starts a new layer on top of extracted `parents`; with their tree given as `lower` they need not be extracted, and the
   * layer cannot be mounted. Disposing it without `commit` drops it.
   */
  begin(parents: LayerChain, options?: { readonly lower?: FileTree }): Promise<ActiveLayer>;
  /**
   * Starts a new layer whose entries are recorded, not made: it becomes a directory only when something mounts it.
   * `parents` need not be extracted as long as their merged tree is known.
   */
  pack(parents: LayerChain, options?: PackOptions): Promise<PackedLayer>;
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
  /**
   * Makes the layer permanent under its id. `standalone`: it takes in all that its parents have and needs them no more;
   * unchanged files are shared with theirs on disk.
   */
  commit(options: { readonly createdAt: Millis; readonly standalone?: boolean }): Promise<LayerRef>;
}

/** Options of `Snapshotter.pack`. */
export interface PackOptions {
  /** Names what is made (the digest of an op): the data of earlier layers of that name is taken from them where it did not change. */
  readonly like?: string;
  /** The merged tree of the parents, when it is known from elsewhere than their extracted layers. */
  readonly lower?: FileTree;
}

/** Where a packed layer keeps the data of a file. */
export interface PackedData {
  readonly size: number;
}

/** One entry of a packed layer, in the terms of overlayfs. Names with the same object are hard links to one file. */
export interface PackedEntry {
  /** `whiteout`: the parents' entry is gone. */
  readonly type: FileType | 'whiteout';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  readonly link?: string | undefined;
  readonly device?: FileEntry['device'] | undefined;
  /** The data of a regular file. */
  readonly data?: PackedData | undefined;
  /** A directory that hides the parents'. */
  readonly opaque?: boolean | undefined;
}

/** A layer being recorded: the data of its files first, the entries at the end. */
export interface PackedLayer extends AsyncDisposable {
  readonly id: LayerId;
  readonly parents: LayerChain;
  /** The parents' merged tree. */
  readonly lower: FileTree;
  /** Adds the data of a regular file of a tree. */
  copy(
    from: { readonly tree: FileTree; readonly path: string; readonly entry: FileEntry },
    signal: AbortSignal,
  ): PackedData | Promise<PackedData>;
  /** Adds data from memory. */
  write(data: Uint8Array): PackedData;
  /** Adds a stream; memory stays bounded. */
  stream(data: AsyncIterable<Uint8Array>): Promise<PackedData>;
  /**
   * Makes the layer permanent under its id. `entries` by absolute path, `/` included, in any order; each directory on the
   * way to an entry is there.
   */
  commit(
    entries: ReadonlyMap<string, PackedEntry>,
    options: { readonly createdAt: Millis; readonly signal: AbortSignal },
  ): Promise<LayerRef>;
}
