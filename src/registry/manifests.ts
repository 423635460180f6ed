import { createHash } from 'node:crypto';
import {
  type Digest,
  err,
  type Failure,
  failure,
  ok,
  parseDigest,
  type Result,
  sha256,
} from '../base/index.ts';
import {
  type HttpAnswer,
  type HttpRequest,
  readCapped,
  TransientError,
  withRetries,
} from '../http/index.ts';
import {
  formatReference,
  isIndexType,
  MAX_MANIFEST_BYTES,
  MEDIA,
  type Reference,
} from '../oci/index.ts';
import type { FetchedManifest } from '../ports/index.ts';
import { type Client, ownEndpoint, pullScope, pushScope } from './client.ts';
import { statusFailure } from './errors.ts';
import type { Endpoint } from './hosts.ts';

const ACCEPT = [MEDIA.ociIndex, MEDIA.ociManifest, MEDIA.dockerList, MEDIA.dockerManifest].join(
  ', ',
);

/** What a registry made of a manifest. */
export interface StoredManifest {
  readonly digest: Digest;
  /** It knows the `subject`, and lists the manifest among its referrers (distribution spec, "Pushing Manifests with Subject"). */
  readonly referring: boolean;
  /** It was not stored: under the tag there is another one than the one that was to be replaced. */
  readonly overtaken: boolean;
}

/** A manifest with what the registry tells its states apart by (RFC 9110, section 8.8.3), where it does. */
export interface TaggedManifest extends FetchedManifest {
  readonly etag: string | undefined;
}

/** What is put under a tag, and which state of it that is to replace. */
interface PutManifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly ifMatch?: string | undefined;
}

/** Stores a manifest or index under the tag of `ref`, or its digest where that has none. */
export async function putManifest(
  client: Client,
  ref: Reference,
  { bytes, mediaType, ifMatch }: PutManifest,
  signal: AbortSignal,
): Promise<Result<StoredManifest>> {
  const digest = sha256(bytes);
  const { path, tag } = ref;
  const endpoint = ownEndpoint(client, ref);
  const request: HttpRequest = {
    method: 'PUT',
    url: new URL(`/v2/${path}/manifests/${tag ?? digest}`, endpoint.base),
    headers: {
      'content-type': mediaType,
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    },
    body: () => bytes,
    signal,
  };
  return await withRetries<StoredManifest>(client.retry, signal, async () => {
    const answer = await client.session.send(request, { endpoint, scopes: [pushScope(path)] });
    if (!answer.ok) return answer;
    const { status } = answer.value;
    if (status === 412 && ifMatch !== undefined) {
      answer.value.drop();
      return ok({ digest, referring: false, overtaken: true });
    }
    const stored = parseDigest(answer.value.header('docker-content-digest') ?? '');
    // Anything may answer 200; only a registry says which manifest it has now.
    if (status !== 201 && (status !== 200 || stored === undefined))
      return err(await statusFailure(request, answer.value, client.secrets));
    answer.value.drop();
    if (stored === undefined || stored === digest)
      return ok({
        digest,
        referring: answer.value.header('oci-subject') !== undefined,
        overtaken: false,
      });
    const what = formatReference(ref);
    return err(
      failure(
        'RG006',
        3,
        `${what}: the registry stored the manifest as ${stored}, not as ${digest}`,
      ),
    );
  });
}

/** A manifest as the registry itself has it now: what is written again is not read from a mirror. */
export async function fetchOwnManifest(
  client: Client,
  ref: Reference,
  signal: AbortSignal,
): Promise<Result<TaggedManifest>> {
  const endpoint = ownEndpoint(client, ref);
  return await withRetries(
    client.retry,
    signal,
    async () => await requestManifest(client, { ref, endpoint, signal }),
  );
}

/** Asks mirrors and registry in turn; the failure reported is the registry's own. */
export async function fromSources<T>(
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

/** A manifest or index as a mirror or the registry serves it, verified. */
export async function fetchManifest(
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
): Promise<Result<TaggedManifest>> {
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

async function readManifest(answer: HttpAnswer, ref: Reference): Promise<Result<TaggedManifest>> {
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
  const etag = answer.header('etag');
  return ok({ descriptor: { mediaType: known, digest, size: bytes.length }, bytes, etag });
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
