import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  byCodeUnit,
  type Digest,
  err,
  type Failure,
  failure,
  goJson,
  isErrno,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
  sha256,
} from '../base/index.ts';
import { descriptorJson } from '../oci/index.ts';
import { encodeAnnotatedConfig } from './annotated-config.ts';
import type { CacheGraph } from './cache-graph.ts';
import { scopeMatches } from './scope.ts';

/** Annotation of a manifest or index, and member of a bare config, that holds the signature of a cache. */
export const SIGNATURE_MEMBER = 'varve.cache.signature.v1';

/** In front of what is signed, so that a signature made for something else is none of a cache. */
const PREFIX = 'varve-cache-signature.v1\n';
const MAX_SIGNATURE = 16 << 10;
const MAX_KEY_BYTES = 64 << 10;

/** A key that signs caches. */
export interface SigningKey {
  readonly key: KeyObject;
  /** Digest of the public key (SubjectPublicKeyInfo, DER). */
  readonly id: Digest;
}

/** A public key, and the scopes that it may sign for. */
export interface TrustedKey {
  readonly key: KeyObject;
  readonly id: Digest;
  /** Names and beginnings of names (`release/*`); absent: every scope. */
  readonly scopes?: readonly string[];
}

/**
 * What of a cache is signed: every key, link, layer and attachment as it is used, in one form whatever carries it. Compressed bytes and
 * trees follow from it, because layers are named by the digests of both.
 */
export function cacheSubject(graph: CacheGraph): Digest {
  const { attachments = [] } = graph;
  const attached = [...attachments].sort((a, b) => byCodeUnit(a.digest, b.digest));
  return sha256(`${encodeAnnotatedConfig(graph)}\n${goJson(attached.map(descriptorJson))}`);
}

/** Signs what a digest stands for, for a scope until a time (milliseconds since 1970). */
export function signSubject(
  subject: Digest,
  key: SigningKey,
  what: { readonly scope: string; readonly now: number; readonly until: number },
): string {
  const statement = goJson({
    subject,
    scope: what.scope,
    signedAt: new Date(what.now).toISOString(),
    expiresAt: new Date(what.until).toISOString(),
  });
  const value = signBytes(hashOf(key.key), Buffer.from(PREFIX + statement), key.key);
  return goJson({ statement, key: key.id, signature: value.toString('base64') });
}

/** Signs a cache. */
export function signCache(
  graph: CacheGraph,
  ...[key, what]: readonly [SigningKey, Parameters<typeof signSubject>[2]]
): string {
  return signSubject(cacheSubject(graph), key, what);
}

/** `refuseSubject` for a cache. */
export function refuseUnsigned(
  graph: CacheGraph,
  text: string | undefined,
  want: Parameters<typeof refuseSubject>[2],
): Failure | undefined {
  return refuseSubject(() => cacheSubject(graph), text, want);
}

/** Why something is not taken: it has to be signed, for this scope, by one of the keys, and the time must not have passed. */
export function refuseSubject(
  wanted: () => Digest,
  text: string | undefined,
  want: { readonly scope: string; readonly keys: readonly TrustedKey[]; readonly now: number },
): Failure | undefined {
  if (text === undefined) return refusal('it is not signed');
  const read = readSignature(text);
  if (read === undefined) return refusal('its signature is malformed');
  const { statement, keyId, signature } = read;
  const key = want.keys.find((each) => each.id === keyId);
  if (key === undefined) return refusal(`its key ${keyId} is not among the required ones`);
  const signed = Buffer.from(PREFIX + statement);
  if (!verifyBytes(hashOf(key.key), signed, key.key, signature))
    return refusal('its signature is false');
  const said = readStatement(statement);
  if (said === undefined) return refusal('what is signed is no statement about a cache');
  const { subject, scope, expiresAt } = said;
  if (scope !== want.scope)
    return refusal(`it was signed for "${shown(scope)}", not for "${shown(want.scope)}"`);
  if (key.scopes !== undefined && !scopeMatches(scope, key.scopes))
    return refusal(`its key ${keyId} may not sign for "${shown(scope)}"`);
  if (expiresAt <= want.now)
    return refusal(`its signature expired at ${new Date(expiresAt).toISOString()}`);
  if (subject !== wanted()) return refusal('it was altered after it was signed');
  return undefined;
}

/** The signature in a bare config. */
export function signatureIn(config: Uint8Array): string | undefined {
  const parsed = parseJson(Buffer.from(config).toString('utf8'));
  const member = parsed.ok && isRecord(parsed.value) ? parsed.value[SIGNATURE_MEMBER] : undefined;
  return typeof member === 'string' ? member : undefined;
}

/** Reads a private key (PEM; Ed25519, or ECDSA on P-256, P-384 or P-521). */
export async function readSigningKey(file: string): Promise<Result<SigningKey>> {
  const pem = await readPem(file);
  if (!pem.ok) return pem;
  try {
    const key = createPrivateKey(pem.value);
    if (isUsable(key)) return ok({ key, id: idOf(createPublicKey(key)) });
  } catch (e) {
    if (!(e instanceof Error)) throw e;
    // Said below: what the library tells of a private key is shown to nobody.
  }
  return err(badKey(file, 'holds no Ed25519 or ECDSA private key in PEM without a passphrase'));
}

/** Reads a public key (PEM) with the scopes that it may sign for. */
export async function readTrustedKey(
  file: string,
  scopes: readonly string[] | undefined,
): Promise<Result<TrustedKey>> {
  const pem = await readPem(file);
  if (!pem.ok) return pem;
  try {
    // Of a private key the public half would be taken silently.
    const key = pem.value.includes('PRIVATE KEY') ? undefined : createPublicKey(pem.value);
    if (key !== undefined && isUsable(key))
      return ok({ key, id: idOf(key), ...(scopes === undefined ? {} : { scopes }) });
  } catch (e) {
    if (!(e instanceof Error)) throw e;
    return err(badKey(file, 'holds no Ed25519 or ECDSA public key in PEM', e));
  }
  return err(badKey(file, 'holds no Ed25519 or ECDSA public key in PEM'));
}

async function readPem(file: string): Promise<Result<string>> {
  try {
    const bytes = await readFile(file);
    return bytes.length <= MAX_KEY_BYTES
      ? ok(bytes.toString('utf8'))
      : err(badKey(file, 'is too large for a key'));
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EIO'))
      throw new Error(`reading key ${file}`, { cause: e });
    return err(badKey(file, `cannot be read (${e.code ?? ''})`));
  }
}

function badKey(file: string, why: string, cause?: unknown): Failure {
  return failure('RC031', 2, `${file} ${why}`, {
    help: 'make one with "openssl genpkey -algorithm ed25519 -out cache.key" and "openssl pkey -in cache.key -pubout -out cache.pub"',
    ...(cause === undefined ? {} : { cause }),
  });
}

function isUsable({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (asymmetricKeyType === 'ed25519') return true;
  const curves = ['prime256v1', 'secp384r1', 'secp521r1'];
  return asymmetricKeyType === 'ec' && curves.includes(asymmetricKeyDetails?.namedCurve ?? '');
}

function idOf(key: KeyObject): Digest {
  return sha256(key.export({ type: 'spki', format: 'der' }));
}

/** Ed25519 hashes by itself. */
function hashOf(key: KeyObject): string | null {
  return key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
}

interface Signature {
  readonly statement: string;
  readonly keyId: Digest;
  readonly signature: Buffer;
}

function readSignature(text: string): Signature | undefined {
  const parsed = text.length > MAX_SIGNATURE ? undefined : parseJson(text);
  if (parsed?.ok !== true || !isRecord(parsed.value)) return undefined;
  const { statement, key, signature } = parsed.value;
  const keyId = typeof key === 'string' ? parseDigest(key) : undefined;
  if (typeof statement !== 'string' || typeof signature !== 'string' || keyId === undefined)
    return undefined;
  return { statement, keyId, signature: Buffer.from(signature, 'base64') };
}

function readStatement(
  text: string,
): { readonly subject: string; readonly scope: string; readonly expiresAt: number } | undefined {
  const parsed = parseJson(text);
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const { subject, scope, expiresAt } = parsed.value;
  const until = typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number.NaN;
  if (typeof subject !== 'string' || typeof scope !== 'string' || Number.isNaN(until))
    return undefined;
  return { subject, scope, expiresAt: until };
}

function refusal(why: string): Failure {
  return failure('RC030', 3, why, {
    help: 'export the cache again with sign-key= and the scope that is read, or leave require-signature out',
  });
}

/** A name from outside in a message. */
function shown(scope: string): string {
  return scope.replace(/[^ -~]/g, '?').slice(0, 200);
}
