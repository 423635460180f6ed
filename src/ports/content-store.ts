import type { Digest, Result } from '../base/index.ts';

/** A blob store addressed by SHA-256, laid out on disk as the `blobs` of an OCI image layout. */
export interface ContentStore {
  /** Directory that is a valid OCI image layout (it holds `blobs/sha256/`). */
  readonly root: string;
  /** Path of a blob, whether it exists or not. */
  path(digest: Digest): string;
  /** Size in bytes, or undefined when absent. */
  size(digest: Digest): Promise<number | undefined>;
  /** A whole small blob (manifests, configs); verified against its digest. */
  read(digest: Digest, options: { readonly maxBytes: number }): Promise<Result<Uint8Array>>;
  /** The bytes of a blob from `start`, at most `length`. The reader that needs certainty hashes them. */
  stream(
    digest: Digest,
    options: { readonly signal: AbortSignal; readonly start?: number; readonly length?: number },
  ): AsyncIterable<Uint8Array>;
  /**
   * Writes a blob: hashed as it is written, renamed to its name only when digest and size are the expected ones.
   * `partialKey` names a download that may be resumed: what arrived is kept when the stream fails.
   */
  ingest(data: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Result<Blob>>;
  /** Bytes already on disk of a download that can be resumed (0 when none); `ingest` with the same key appends to them. */
  partial(partialKey: string): Promise<number>;
  /** Adds a small blob. */
  put(bytes: Uint8Array): Promise<Digest>;
  /** Removes a blob; no error when absent. */
  remove(digest: Digest): Promise<void>;
  /** Moves a blob that failed verification aside (`quarantine/`), so that it is fetched or made again. */
  quarantine(digest: Digest, why: string): Promise<void>;
  list(): AsyncIterable<Blob>;
}

export interface Blob {
  readonly digest: Digest;
  readonly size: number;
}

export interface IngestOptions {
  readonly signal: AbortSignal;
  readonly digest?: Digest;
  readonly size?: number;
  /** Refuses more than this. */
  readonly maxBytes?: number;
  readonly partialKey?: string;
  /** Told the digest just before the blob appears under it. */
  readonly onDigest?: (digest: Digest) => void;
}
