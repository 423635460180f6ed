import { createHash } from 'node:crypto';
import {
  type Digest,
  err,
  type Failure,
  FailureError,
  failure,
  Inflight,
  ok,
  parseDigest,
  type Result,
  sha256,
} from '../base/index.ts';
import {
  type HttpAnswer,
  HttpClient,
  type HttpRequest,
  type RetryPolicy,
  readCapped,
  Secrets,
  TransientError,
  withRetries,
} from '../http/index.ts';
import {
  type Descriptor,
  formatReference,
  isIndexType,
  MAX_MANIFEST_BYTES,
  MEDIA,
  type Platform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.ts';
import type {
  Clock,
  ContentStore,
  FetchedManifest,
  Registry,
  ResolvedImage,
  TransferProgress,
} from '../ports/index.ts';
import { type Client, ownEndpoint, pullScope, pushScope } from './client.ts';
import type { CredentialSource } from './credentials.ts';
import { downloadBlob } from './download.ts';
import { statusFailure } from './errors.ts';
import { type Endpoint, endpointOf, type HostConfig } from './hosts.ts';
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

const ACCEPT = [MEDIA.ociIndex, MEDIA.ociManifest, MEDIA.dockerList, MEDIA.dockerManifest].join(
  ', ',
);

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
    const digest = sha256(bytes);
    const { path, tag } = parsed.value;
    const endpoint = ownEndpoint(this.#client, parsed.value);
    const request: HttpRequest = {
      method: 'PUT',
      url: new URL(`/v2/${path}/manifests/${tag ?? digest}`, endpoint.base),
      headers: { 'content-type': mediaType },
      body: () => bytes,
      signal: options.signal,
    };
    return await withRetries(this.#client.retry, options.signal, async () => {
      const answer = await this.#client.session.send(request, {
        endpoint,
        scopes: [pushScope(path)],
      });
      if (!answer.ok) return answer;
      if (answer.value.status !== 201 && answer.value.status !== 200) {
        return err(await statusFailure(request, answer.value, this.#client.secrets));
      }
      answer.value.drop();
      const stored = parseDigest(answer.value.header('docker-content-digest') ?? '');
      return stored === undefined || stored === digest
        ? ok(digest)
        : err(
            failure(
              'RG006',
              3,
              `${ref}: the registry stored the manifest as ${stored}, not as ${digest}`,
            ),
          );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

/** Asks mirrors and registry in turn; the failure reported is the registry's own. */
async function fromSources<T>(
  client: Client,
  ref: Reference,
  ask: (endpoint: Endpoint) => Promise<Result<T>>,
): Promise<Result<T>> {
  let last: Result<T> | undefined;
  for (const endpoint of client.sources(ref)) {
    last = await ask(endpoint);
    if (last.ok) return last;
  }
  if (last === undefined) throw new Error(`no endpoint for ${formatReference(ref)}`);
  return last;
}

async function fetchManifest(
  client: Client,
  ref: Reference,
  signal: AbortSignal,
): Promise<Result<FetchedManifest>> {
  return await fromSources(client, ref, (endpoint) =>
    withRetries(client.retry, signal, () => requestManifest(client, { ref, endpoint, signal })),
  );
}

async function requestManifest(
  client: Client,
  at: { readonly ref: Reference; readonly endpoint: Endpoint; readonly signal: AbortSignal },
): Promise<Result<FetchedManifest>> {
  const { ref, endpoint, signal } = at;
  const { digest } = ref;
  const request: HttpRequest = {
    method: 'GET',
    url: new URL(`/v2/${ref.path}/manifests/${digest ?? ref.tag ?? 'latest'}`, endpoint.base),
    headers: { accept: ACCEPT },
    signal,
  };
  const answer = await client.session.send(request, { endpoint, scopes: [pullScope(ref.path)] });
  if (!answer.ok) return answer;
  if (answer.value.status !== 200)
    return err(await statusFailure(request, answer.value, client.secrets));
  return await readManifest(answer.value, ref);
}

async function readManifest(answer: HttpAnswer, ref: Reference): Promise<Result<FetchedManifest>> {
  const what = formatReference(ref);
  const bytes = await readCapped(answer, MAX_MANIFEST_BYTES);
  if (bytes === undefined) {
    return err(
      failure('RG010', 3, `${what}: the manifest is larger than ${MAX_MANIFEST_BYTES} bytes`),
    );
  }
  const length = answer.header('content-length');
  if (length !== undefined && Number(length) !== bytes.length) {
    throw new TransientError(
      `${what}: the manifest ended after ${bytes.length} of ${length} bytes`,
    );
  }
  const digest = sha256(bytes);
  const header = answer.header('docker-content-digest') ?? '';
  if (header !== '' && !sameBytes(header, bytes)) return err(otherDigest(what, header, digest));
  const promised = ref.digest;
  if (promised !== undefined && promised !== digest) {
    return err(otherDigest(what, promised, digest));
  }
  const mediaType = (answer.header('content-type') ?? '').split(';')[0]?.trim() ?? '';
  const known =
    isIndexType(mediaType) || mediaType === MEDIA.dockerManifest ? mediaType : MEDIA.ociManifest;
  return ok({ descriptor: { mediaType: known, digest, size: bytes.length }, bytes });
}

/** Whether a digest in a header is that of the bytes; registries may use an algorithm that descriptors here may not. */
function sameBytes(header: string, bytes: Uint8Array): boolean {
  const [, algorithm = '', hex] = /^(sha256|sha384|sha512):([0-9a-f]+)$/.exec(header) ?? [];
  return algorithm !== '' && createHash(algorithm).update(bytes).digest('hex') === hex;
}

function otherDigest(what: string, header: string, digest: Digest): Failure {
  const why =
    parseDigest(header) === undefined
      ? `the registry names its digest as ${JSON.stringify(header.slice(0, 200))}`
      : `the manifest has digest ${digest}, not ${header}`;
  return failure('RG006', 3, `${what}: ${why}`, {
    help: 'the registry or something on the way changed it; nothing was kept',
  });
}

function parsed1(ref: string): Result<Reference> {
  const parsed = parseReference(ref);
  return parsed.ok
    ? ok(withDefaultTag(parsed.value))
    : err(failure('RG005', 2, `${JSON.stringify(ref)}: ${parsed.error}`));
}
