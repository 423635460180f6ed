import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Digest, err, failure, ok, type Result, sha256 } from '../base/index.ts';
import { type HttpAnswer, type HttpRequest, readCapped, withRetries } from '../http/index.ts';
import {
  type Descriptor,
  decodeManifest,
  encodeIndex,
  formatReference,
  MAX_MANIFEST_BYTES,
  MEDIA,
  type Reference,
} from '../oci/index.ts';
import type { FetchedManifest, Referrer } from '../ports/index.ts';
import { type Client, pullScope } from './client.ts';
import { statusFailure } from './errors.ts';
import type { Endpoint } from './hosts.ts';
import { fetchManifest, fetchOwnManifest, fromSources, putManifest } from './manifests.ts';

/** Pages of a list of referrers that are read. */
const MAX_PAGES = 8;

/** The same repository under another name in it. */
function at(
  ref: Reference,
  name: { readonly tag: string } | { readonly digest: Digest },
): Reference {
  return { domain: ref.domain, path: ref.path, ...name };
}

/** The tag with the referrers of a manifest where a registry has no list of them (distribution spec, "Referrers Tag Schema"). */
function fallbackTag(subject: Digest): string {
  return subject.replace(':', '-');
}

/** How often the list under a fallback tag is written before others that write it too are given up against. */
const WRITES = 12;

/**
 * Stores a manifest that refers to another one. A registry that does not say that it took note of that gets the manifest's
 * descriptor in the index under the fallback tag, beside what others put there.
 */
export async function putReferrer(
  client: Client,
  ref: Reference,
  { bytes, mediaType, artifactType, subject }: Referrer,
  signal: AbortSignal,
): Promise<Result<void>> {
  const digest = sha256(bytes);
  const stored = await putManifest(client, at(ref, { digest }), { bytes, mediaType }, signal);
  if (!stored.ok) return stored;
  if (stored.value.referring) return ok(undefined);
  const tagged = at(ref, { tag: fallbackTag(subject) });
  return await listUnder(
    client,
    tagged,
    { mediaType, digest, size: bytes.length, artifactType },
    signal,
  );
}

/**
 * Adds a descriptor to the index under a tag. Another process may do so at the same moment: a registry with entity tags is asked
 * to replace the list that was read and no other; since few know `If-Match`, the list is read again a moment later,
 * and written again when the descriptor is not in it any more.
 */
async function listUnder(
  client: Client,
  tagged: Reference,
  mine: Descriptor,
  signal: AbortSignal,
): Promise<Result<void>> {
  for (let writes = 0; ; writes++) {
    const before = await ownList(client, tagged, signal);
    if (!before.ok) return before;
    if (before.value.manifests.some((each) => each.digest === mine.digest)) return ok(undefined);
    if (writes === WRITES) break;
    const manifests = [...before.value.manifests, mine];
    const bytes = encodeIndex({ mediaType: MEDIA.ociIndex, manifests });
    const replacing = { bytes, mediaType: MEDIA.ociIndex, ifMatch: before.value.etag };
    const put = await putManifest(client, tagged, replacing, signal);
    if (!put.ok) return put;
    // Longer than others take from reading to writing; not as long as those who wait at the same time.
    const { firstPauseMs } = client.retry;
    await delay(firstPauseMs + randomInt(firstPauseMs + 1), undefined, { signal });
  }
  const what = formatReference(tagged);
  return err(
    failure('RG004', 3, `${what}: others replaced the list of referrers ${WRITES} times`, {
      help: 'push once more when they are done',
    }),
  );
}

/** The list as the registry has it now, and its entity tag. */
async function ownList(
  client: Client,
  tagged: Reference,
  signal: AbortSignal,
): Promise<
  Result<{ readonly manifests: readonly Descriptor[]; readonly etag: string | undefined }>
> {
  const found = await fetchOwnManifest(client, tagged, signal);
  const etag = found.ok ? found.value.etag : undefined;
  const manifests = listOf(found, tagged);
  return manifests.ok ? ok({ manifests: manifests.value, etag }) : manifests;
}

/** The manifests of a type that refer to `subject`; none where nobody knows of any. */
export async function fetchReferrers(
  client: Client,
  ref: Reference,
  subject: Digest,
  { signal, artifactType }: { readonly signal: AbortSignal; readonly artifactType: string },
): Promise<Result<readonly Descriptor[]>> {
  const listed = await fromSources(client, ref, (endpoint) =>
    withRetries(client.retry, signal, () =>
      listReferrers(client, ref, subject, { endpoint, signal, artifactType }),
    ),
  );
  if (!listed.ok) return listed;
  const all =
    listed.value === undefined
      ? await fallbackIndex(client, at(ref, { tag: fallbackTag(subject) }), signal)
      : ok(listed.value);
  // Filters may be ignored (distribution spec, "Listing Referrers").
  return all.ok ? ok(all.value.filter((each) => each.artifactType === artifactType)) : all;
}

interface Asking {
  readonly endpoint: Endpoint;
  readonly signal: AbortSignal;
  readonly artifactType: string;
}

/** Undefined where the registry has no such list. */
async function listReferrers(
  client: Client,
  ref: Reference,
  subject: Digest,
  { endpoint, signal, artifactType }: Asking,
): Promise<Result<readonly Descriptor[] | undefined>> {
  const found: Descriptor[] = [];
  let url: URL | undefined = new URL(`/v2/${ref.path}/referrers/${subject}`, endpoint.base);
  url.searchParams.set('artifactType', artifactType);
  for (let page = 0; url !== undefined && page < MAX_PAGES; page++) {
    const request: HttpRequest = {
      method: 'GET',
      url,
      headers: { accept: MEDIA.ociIndex },
      signal,
    };
    const answer = await client.session.send(request, { endpoint, scopes: [pullScope(ref.path)] });
    if (!answer.ok) return answer;
    if (answer.value.status !== 200) {
      // What is no list there is said in many ways; the fallback tag is asked for then.
      if ([400, 404, 405, 406, 501].includes(answer.value.status)) {
        answer.value.drop();
        return ok(undefined);
      }
      return err(await statusFailure(request, answer.value, client.secrets));
    }
    const manifests = await manifestsOf(answer.value);
    if (manifests === undefined) return ok(undefined);
    found.push(...manifests);
    url = nextPage(answer.value, url);
  }
  return ok(found);
}

/** Undefined for what is no index: a page of text under every address, for example. */
async function manifestsOf(answer: HttpAnswer): Promise<readonly Descriptor[] | undefined> {
  const bytes = await readCapped(answer, MAX_MANIFEST_BYTES);
  const decoded = bytes === undefined ? undefined : decodeManifest(bytes, 'referrers');
  return decoded?.ok === true && decoded.value.kind === 'index'
    ? decoded.value.index.manifests
    : undefined;
}

/** The address of the next page (RFC 8288), of the same origin only. */
function nextPage(answer: HttpAnswer, url: URL): URL | undefined {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(answer.header('link') ?? '')?.[1];
  if (link === undefined || !URL.canParse(link, url.href)) return undefined;
  const next = new URL(link, url);
  return next.origin === url.origin ? next : undefined;
}

/** What the index under a fallback tag names. */
async function fallbackIndex(
  client: Client,
  tagged: Reference,
  signal: AbortSignal,
): Promise<Result<readonly Descriptor[]>> {
  return listOf(await fetchManifest(client, tagged, signal), tagged);
}

/** What an index names; nothing when there is none. */
function listOf(found: Result<FetchedManifest>, tagged: Reference): Result<readonly Descriptor[]> {
  if (!found.ok) return found.error.code === 'RG003' ? ok([]) : found;
  const decoded = decodeManifest(found.value.bytes, formatReference(tagged));
  if (!decoded.ok) return decoded;
  return ok(decoded.value.kind === 'index' ? decoded.value.index.manifests : []);
}
