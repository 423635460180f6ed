import { ok, type Result } from '../base/index.ts';
import type { Clock } from '../ports/index.ts';
import {
  type CacheGraph,
  type ReadOptions,
  readSigningKey,
  readTrustedKey,
  refuseUnsigned,
  SIGNATURE_MEMBER,
  signCache,
  type TrustedKey,
} from '../remotes/index.ts';
import type { CachePlace, CacheSource, CacheTarget } from './request.ts';

/** Annotations with the signature of a graph. */
export type Signer = (graph: CacheGraph) => Readonly<Record<string, string>>;

/** Makes the signer of a target; undefined when it is not signed. */
export async function openSigner(
  { place, scope, sign }: CacheTarget,
  clock: Clock,
): Promise<Result<Signer | undefined>> {
  if (sign === undefined || place.kind === 'inline') return ok(undefined);
  const key = await readSigningKey(sign.keyFile);
  if (!key.ok) return key;
  return ok((graph) => {
    const now = clock.now();
    const what = { scope: signedScope(place, scope), now, until: now + sign.validMs };
    return { [SIGNATURE_MEMBER]: signCache(graph, key.value, what) };
  });
}

/** Makes the check of a source; undefined when it need not be signed. */
export async function openTrust(
  source: CacheSource,
  clock: Clock,
): Promise<Result<ReadOptions['refuse'] | undefined>> {
  const { trust } = source;
  if (trust === undefined) return ok(undefined);
  const keys: TrustedKey[] = [];
  for (const { file, scopes } of trust.keys) {
    const key = await readTrustedKey(file, scopes);
    if (!key.ok) return key;
    keys.push(key.value);
  }
  const scope = signedScope(source, source.scope);
  return ok((graph, signature) =>
    refuseUnsigned(graph, signature, { scope, keys, now: clock.now() }),
  );
}

/**
 * What a signature is for: the scope; of a place without one its own name, so that a cache that was signed for one name is not
 * taken under another.
 */
function signedScope(place: CachePlace, scope: string | undefined): string {
  if (scope !== undefined) return scope;
  switch (place.kind) {
    case 'registry':
      return `ref:${place.ref}`;
    case 'local':
      return `tag:${place.tag}`;
    case 's3':
      return `name:${place.names[0] ?? ''}`;
    default:
      return place.scope;
  }
}
