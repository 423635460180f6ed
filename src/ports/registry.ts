import type { Digest, Result } from '../base/index.ts';
import type { Descriptor, Platform } from '../oci/index.ts';

/** Progress of a transfer in bytes. */
export type TransferProgress = (current: number, total: number | undefined) => void;

/** A manifest or index as served: exact bytes, verified against the digest. */
export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** An image picked for one platform. */
export interface ResolvedImage {
  /** Digest of the top manifest or index: what a reference is pinned to and what keys use. */
  readonly top: Descriptor;
  /** The platform's manifest. */
  readonly manifest: FetchedManifest;
  readonly config: Uint8Array;
  readonly configDescriptor: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
}

/** A manifest that belongs to another one of its repository, which it names as its `subject`. */
export interface Referrer {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly artifactType: string;
  readonly subject: Digest;
}

/** Pull and push by the OCI distribution specification. References are normalised (`docker.io/library/alpine:3`). */
export interface Registry {
  /** Reads manifest and config of a reference; picks `platform` from an index. */
  resolve(
    ref: string,
    options: { readonly platform: Platform; readonly signal: AbortSignal },
  ): Promise<Result<ResolvedImage>>;
  /** Downloads a blob into the content store, resuming and retrying; nothing is sent when it is there already. */
  pullBlob(
    ref: string,
    blob: Descriptor,
    options: { readonly signal: AbortSignal; readonly progress?: TransferProgress },
  ): Promise<Result<void>>;
  /** Fetches a manifest or index by tag or digest. */
  manifest(
    ref: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<FetchedManifest>>;
  /** Uploads a blob from the content store unless the registry has it; tries to mount it from `from` repositories. */
  pushBlob(
    ref: string,
    blob: Descriptor,
    options: {
      readonly signal: AbortSignal;
      readonly progress?: TransferProgress;
      readonly from?: readonly string[];
    },
  ): Promise<Result<'uploaded' | 'exists' | 'mounted'>>;
  pushManifest(
    ref: string,
    bytes: Uint8Array,
    mediaType: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<Digest>>;
  /** Stores a manifest with a `subject`, so that `referrers` of that name it, also where the registry has no list of them. */
  pushReferrer(
    ref: string,
    referrer: Referrer,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<void>>;
  /** Manifests of the repository that refer to `subject`. */
  referrers(
    ref: string,
    subject: Digest,
    options: { readonly signal: AbortSignal; readonly artifactType: string },
  ): Promise<Result<readonly Descriptor[]>>;
}
