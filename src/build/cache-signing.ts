import { type Digest, type Failure, ok, type Result } from '../base/index.ts';
import type { Clock } from '../ports/index.ts';
import {
  readSigningKey,
  readTrustedKey,
  refuseSubject,
  SIGNATURE_MEMBER,
  signSubject,
  type TrustedKey,
} from '../remotes/index.ts';
import type { CachePlace, CacheSource, CacheTarget } from './request.ts';

/** The annotation with the signature of what a digest stands for. */
export type Signer = (subject: Digest) => Readonly<Record<string, string>>;

/** Says whether every key that targets are to be signed with can be used, before anything is built for them. */
export async function checkSigners(
  targets: readonly CacheTarget[],
  clock: Clock,
): Promise<Result<void>> {
  for (const target of targets) {
    const signer = await openSigner(target, clock);
    if (!signer.ok) return signer;
  }
  return ok(undefined);
}

/** Makes the signer of a target; undefined when it is not signed. */
export async function openSigner(
  { place, scope, sign }: CacheTarget,
  clock: Clock,
): Promise<Result<Signer | undefined>> {
  if (sign === undefined || place.kind === 'inline') return ok(undefined);
  const key = await readSigningKey(sign.keyFile);
  if (!key.ok) return key;
  return ok((subject) => {
    const now = clock.now();
    const what = { scope: signedScope(place, scope), now, until: now + sign.validMs };
    return { [SIGNATURE_MEMBER]: signSubject(subject, key.value, what) };
  });
}

/** Why something that carries this signature is not taken. */
export type Trust = (subject: () => Digest, signature: string | undefined) => Failure | undefined;

/** Makes the check of a source; undefined when it need not be signed. */
export async function openTrust(
  source: CacheSource,
  clock: Clock,
): Promise<Result<Trust | undefined>> {
  const { trust } = source;
  if (trust === undefined) return ok(undefined);
  const keys: TrustedKey[] = [];
  for (const { file, scopes } of trust.keys) {
    const key = await readTrustedKey(file, scopes);
    if (!key.ok) return key;
    keys.push(key.value);
  }
  const scope = signedScope(source, source.scope);
  return ok((subject, signature) =>
    refuseSubject(subject, signature, { scope, keys, now: clock.now() }),
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
