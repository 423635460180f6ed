import { isRecord, parseJson } from '../base/index.ts';
import { parseReference, repositoryOf } from '../oci/index.ts';
import type { MemoDb, Registry } from '../ports/index.ts';

const MEMO = 'blob-places.v1';
/** Repositories of one registry that are remembered for a blob. */
const MAX_PLACES = 4;

/**
 * A registry that remembers which of its repositories have a blob, so that what was pushed to or pulled from one is mounted
 * in another instead of being sent. A place that has lost the blob costs one request: the upload goes on as if there were none.
 */
export function withKnownPlaces(registry: Registry, memo: MemoDb): Registry {
  const note = (ref: string, digest: string): void => {
    const place = placeOf(ref);
    if (place === undefined) return;
    const key = `${place.host} ${digest}`;
    const before = placesIn(memo.get(MEMO, key));
    if (before.includes(place.repository)) return;
    const places = [place.repository, ...before].slice(0, MAX_PLACES);
    memo.set(MEMO, key, Buffer.from(JSON.stringify({ places })));
  };
  return {
    resolve: (ref, options) => registry.resolve(ref, options),
    manifest: (ref, options) => registry.manifest(ref, options),
    pushManifest: (ref, bytes, mediaType, options) =>
      registry.pushManifest(ref, bytes, mediaType, options),
    pushReferrer: (ref, referrer, options) => registry.pushReferrer(ref, referrer, options),
    referrers: (ref, subject, options) => registry.referrers(ref, subject, options),
    pullBlob: async (ref, blob, options) => {
      const pulled = await registry.pullBlob(ref, blob, options);
      if (pulled.ok) note(ref, blob.digest);
      return pulled;
    },
    pushBlob: async (ref, blob, options) => {
      const host = placeOf(ref)?.host ?? '';
      const known = placesIn(memo.get(MEMO, `${host} ${blob.digest}`));
      const from = [...new Set([...(options.from ?? []), ...known])];
      const pushed = await registry.pushBlob(ref, blob, { ...options, from });
      if (pushed.ok) note(ref, blob.digest);
      return pushed;
    },
  };
}

function placeOf(ref: string): { readonly host: string; readonly repository: string } | undefined {
  const parsed = parseReference(ref);
  return parsed.ok
    ? { host: parsed.value.domain, repository: repositoryOf(parsed.value) }
    : undefined;
}

function placesIn(bytes: Uint8Array | undefined): readonly string[] {
  const parsed = parseJson(Buffer.from(bytes ?? []).toString('utf8'));
  const places: unknown = parsed.ok && isRecord(parsed.value) ? parsed.value['places'] : [];
  return Array.isArray(places) ? places.filter((p): p is string => typeof p === 'string') : [];
}
