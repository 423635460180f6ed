import type { Result } from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { TransferProgress } from './registry.ts';

/**
 * A place outside this machine's store where a build cache is kept: blobs, and one manifest under a name. Whoever writes
 * stores all blobs first and publishes the manifest last, so that readers never see a name that leads to something missing.
 */
export interface CacheRemote {
  /** What progress and warnings call it. */
  readonly name: string;
  /** Where its blobs can be had later, as `LayerRef.origin` says it. */
  readonly origin: string;
  /**
   * `config`: its name leads to a bare cache config, whose layers carry their descriptors; `manifest` reads and `publish`
   * writes that. Absent: it leads to a manifest or an index.
   */
  readonly form?: 'config';
  /** The bytes of the manifest or index under the name, or of a manifest that an index there names. */
  manifest(
    options: { readonly signal: AbortSignal },
    child?: Descriptor,
  ): Promise<Result<Uint8Array>>;
  /** A second config under the same name, of a remote of the form `config` that keeps two. */
  further?(options: { readonly signal: AbortSignal }): Promise<Result<Uint8Array | undefined>>;
  /**
   * All manifests under the name, the newest first, of a remote whose name stands for several: together they are the cache.
   */
  manifests?(options: { readonly signal: AbortSignal }): Promise<readonly Result<Uint8Array>[]>;
  /** A whole small blob, verified against its digest. */
  read(
    blob: Descriptor,
    options: { readonly signal: AbortSignal; readonly maxBytes: number },
  ): Promise<Result<Uint8Array>>;
  /** Whether a blob can be there, as far as that is known without asking over a network. */
  mayHave(blob: Descriptor): Promise<boolean>;
  /**
   * Stores a blob unless it is there. `obtain` brings it into the content store and is called only when its bytes are
   * needed; `from` names where the blob came from, for a registry that can copy it there by itself.
   */
  write(
    blob: Descriptor,
    options: {
      readonly signal: AbortSignal;
      readonly obtain: () => Promise<Result<void>>;
      readonly from?: string;
      readonly progress?: TransferProgress;
    },
  ): Promise<Result<'written' | 'exists'>>;
  /** Makes the name stand for this manifest. */
  publish(
    manifest: Uint8Array,
    mediaType: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<void>>;
  /**
   * The same place under a further name, which belongs to this one: what hangs on the cache without being part of its
   * manifest (directories of cache mounts). `name` is made of `a-z0-9-`. Rights, scopes and blobs are those of this remote.
   */
  named?(name: string): CacheRemote;
}
