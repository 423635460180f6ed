import {
  type Digest,
  err,
  FailureError,
  failure,
  Inflight,
  ok,
  type Result,
} from '../base/index.ts';
import { HttpClient, type RetryPolicy, Secrets } from '../http/index.ts';
import {
  type Descriptor,
  type Platform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.ts';
import type {
  Clock,
  ContentStore,
  FetchedManifest,
  Referrer,
  Registry,
  ResolvedImage,
  TransferProgress,
} from '../ports/index.ts';
import type { Client } from './client.ts';
import type { CredentialSource } from './credentials.ts';
import { downloadBlob } from './download.ts';
import { endpointOf, type HostConfig } from './hosts.ts';
import { fetchManifest, fromSources, putManifest } from './manifests.ts';
import { fetchReferrers, putReferrer } from './referrers.ts';
import { resolveImage } from './resolve.ts';
import { Session } from './session.ts';
import { uploadBlob } from './upload.ts';

/** What a registry client is made of. */
export interface RegistryDeps {
  readonly content: ContentStore;
  readonly clock: Clock;
  /** Absent: everything is asked anonymously. */
  readonly credentials?: CredentialSource;
  /** How hosts are reached; absent: https, and plain http to loopback addresses. */
  readonly hosts?: (domain: string) => HostConfig;
  readonly proxyFor?: (url: URL) => string | undefined;
  /** No answer, or no further byte, for so long is a stall. Default 30 s. */
  readonly stallMs?: number;
  readonly retry?: Partial<RetryPolicy>;
  /** Blobs larger than this are uploaded in parts of this size, which can be resumed. Default 64 MiB. */
  readonly partBytes?: number;
}

/**
 * Pull and push by the OCI distribution specification 1.1. Safe against the far side: everything is verified by digest
 * and capped in size, failures of the network are retried, credentials go to their host and its token server only.
 */
export function createRegistry(deps: RegistryDeps): Registry & AsyncDisposable {
  return new HttpRegistry(deps);
}

class HttpRegistry implements Registry, AsyncDisposable {
  readonly #client: Client;
  readonly #http: HttpClient;
  readonly #downloads = new Inflight<Digest, Result<void>>();

  constructor(deps: RegistryDeps) {
    const configOf = deps.hosts ?? ((): HostConfig => ({}));
    const secrets = new Secrets();
    this.#http = new HttpClient({
      stallMs: deps.stallMs ?? 30_000,
      ...(deps.proxyFor === undefined ? {} : { proxyFor: deps.proxyFor }),
    });
    this.#client = {
      content: deps.content,
      session: new Session({
        http: this.#http,
        credentials: deps.credentials ?? (() => Promise.resolve(ok(undefined))),
        clock: deps.clock,
        secrets,
      }),
      secrets,
      retry: { tries: 5, firstPauseMs: 500, maxPauseMs: 60_000, ...deps.retry },
      partBytes: deps.partBytes ?? 64 * 1024 * 1024,
      sources: (ref) => {
        const mirrors = configOf(ref.domain).mirrors ?? [];
        return [...mirrors, ref.domain].map((host) => endpointOf(host, configOf));
      },
    };
  }

  /** The reference, once the settings of its hosts could be read. */
  #parse(ref: string): Result<Reference> {
    const parsed = parsed1(ref);
    if (!parsed.ok) return parsed;
    try {
      this.#client.sources(parsed.value);
      return parsed;
    } catch (e) {
      if (e instanceof FailureError) return err(e.failure);
      throw e;
    }
  }

  async resolve(
    ref: string,
    options: { readonly platform: Platform; readonly signal: AbortSignal },
  ): Promise<Result<ResolvedImage>> {
    const parsed = this.#parse(ref);
    if (!parsed.ok) return parsed;
    return await resolveImage(parsed.value, options, {
      manifest: (r, signal) => fetchManifest(this.#client, r, signal),
      pull: (blob, signal) => this.pullBlob(ref, blob, { signal }),
      content: this.#client.content,
    });
  }

  async manifest(
    ref: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<FetchedManifest>> {
    const parsed = this.#parse(ref);
    return parsed.ok ? await fetchManifest(this.#client, parsed.value, options.signal) : parsed;
  }

  async pullBlob(
    ref: string,
    blob: Descriptor,
    options: { readonly signal: AbortSignal; readonly progress?: TransferProgress },
  ): Promise<Result<void>> {
    if ((await this.#client.content.size(blob.digest)) === blob.size) return ok(undefined);
    const parsed = this.#parse(ref);
    if (!parsed.ok) return parsed;
    return await this.#downloads.do(blob.digest, options.signal, (signal) =>
      fromSources(this.#client, parsed.value, (endpoint) =>
        downloadBlob(this.#client, { endpoint, path: parsed.value.path }, blob, {
          ...options,
          signal,
        }),
      ),
    );
  }

  async pushBlob(
    ref: string,
    blob: Descriptor,
    options: {
      readonly signal: AbortSignal;
      readonly progress?: TransferProgress;
      readonly from?: readonly string[];
    },
  ): Promise<Result<'uploaded' | 'exists' | 'mounted'>> {
    const parsed = this.#parse(ref);
    if (!parsed.ok) return parsed;
    return await uploadBlob(this.#client, parsed.value, blob, options);
  }

  async pushManifest(
    ref: string,
    bytes: Uint8Array,
    mediaType: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<Digest>> {
    const parsed = this.#parse(ref);
    if (!parsed.ok) return parsed;
    const stored = await putManifest(
      this.#client,
      parsed.value,
      { bytes, mediaType },
      options.signal,
    );
    return stored.ok ? ok(stored.value.digest) : stored;
  }

  async pushReferrer(
    ref: string,
    referrer: Referrer,
    options: { readonly signal: AbortSignal },
  ): Promise<Result<void>> {
    const parsed = this.#parse(ref);
    if (!parsed.ok) return parsed;
    return await putReferrer(this.#client, parsed.value, referrer, options.signal);
  }

  async referrers(
    ref: string,
    subject: Digest,
    options: { readonly signal: AbortSignal; readonly artifactType: string },
  ): Promise<Result<readonly Descriptor[]>> {
    const parsed = this.#parse(ref);
    if (!parsed.ok) return parsed;
    return await fetchReferrers(this.#client, parsed.value, subject, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

function parsed1(ref: string): Result<Reference> {
  const parsed = parseReference(ref);
  return parsed.ok
    ? ok(withDefaultTag(parsed.value))
    : err(failure('RG005', 2, `${JSON.stringify(ref)}: ${parsed.error}`));
}
