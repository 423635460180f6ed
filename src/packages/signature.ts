import { readFile } from 'node:fs/promises';
import {
  createMessage,
  type Key,
  type KeyID,
  readCleartextMessage,
  readKeys,
  readSignature,
  verify,
} from 'openpgp';
import {
  byCodeUnit,
  type Digest,
  err,
  type Failure,
  failure,
  isErrno,
  ok,
  type Result,
  redact,
  sha256,
} from '../base/index.ts';

/** Public keys that may sign a repository. */
export interface Keyring {
  readonly keys: readonly Key[];
  /** Over the key material: a verdict is worth something only together with the keys it was given by. */
  readonly digest: Digest;
  /** What to call it in messages: its paths, or `inline key`. */
  readonly name: string;
}

/** A clear-signed document whose signature holds. */
export interface SignedText {
  /** Only what was signed: nothing before or behind the signed part. */
  readonly text: string;
  /** Fingerprints of the signing keys, sorted, upper-case hexadecimal. */
  readonly signers: readonly string[];
}

/** Reads keyrings given as paths (binary or ASCII-armoured) or as armoured text. PK004: none is readable. */
export async function readKeyring(signedBy: readonly string[]): Promise<Result<Keyring>> {
  const keys: Key[] = [];
  const digests: Digest[] = [];
  for (const entry of signedBy) {
    const inline = entry.includes('-----BEGIN');
    if (!inline && /^https?:/.test(entry))
      return err(
        failure('PK004', 3, `keyring ${redact(entry)} is an address: keys are not fetched`, {
          help: 'fetch it once, compare its fingerprint with the one that the vendor publishes, and name the file',
        }),
      );
    let bytes: Uint8Array;
    try {
      bytes = inline ? Buffer.from(entry) : await readFile(entry);
    } catch (e) {
      if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR')) throw e;
      return err(
        failure('PK004', 3, `keyring ${entry} cannot be read (${e.code ?? ''})`, {
          help: 'install the keyring package of the distribution, or name another with "keyring:" or "signed-by:"',
        }),
      );
    }
    const read = await parseKeys(bytes);
    if (read === undefined)
      return err(
        failure(
          'PK004',
          3,
          `${inline ? 'the inline key' : `keyring ${entry}`} holds no OpenPGP key`,
        ),
      );
    keys.push(...read);
    digests.push(sha256(bytes));
  }
  const name = signedBy.map((s) => (s.includes('-----BEGIN') ? 'inline key' : s)).join(', ');
  return ok({ keys, digest: sha256(digests.join('\n')), name });
}

async function parseKeys(bytes: Uint8Array): Promise<readonly Key[] | undefined> {
  const head = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  try {
    const keys = head.includes('-----BEGIN PGP')
      ? await readKeys({ armoredKeys: Buffer.from(bytes).toString('latin1') })
      : await readKeys({ binaryKeys: bytes });
    return keys.length === 0 ? undefined : keys;
  } catch (e) {
    // openpgp throws plain Errors for malformed packets; every one of them means "no keys in here".
    if (e instanceof Error) return undefined;
    throw e;
  }
}

/**
 * Verifies a clear-signed document (RFC 9580, section 7) as of `now`. At least one signature must be good and made by a key
 * of the ring; a signature by a known key that does not hold condemns the document whatever the others say.
 * PK011: not signed, or tampered with; PK012: signed by other keys only.
 */
export async function verifyClearSigned(
  document: string,
  options: { readonly keyring: Keyring; readonly now: number; readonly name: string },
): Promise<Result<SignedText>> {
  const { keyring, name } = options;
  const bad = (why: string) =>
    err(
      failure('PK011', 3, `${name} is not properly signed: ${why}`, {
        help: 'the mirror or something on the way to it changed the file; try another mirror',
      }),
    );
  if (!document.startsWith('-----BEGIN PGP SIGNED MESSAGE-----'))
    return bad('it is no clear-signed document');
  let verified: Awaited<ReturnType<typeof checkSignatures>>;
  try {
    verified = await checkSignatures(document, keyring, new Date(options.now));
  } catch (e) {
    if (e instanceof Error) return bad(e.message);
    throw e;
  }
  const judged = judge(verified.verdicts);
  if (!('signers' in judged))
    return 'broken' in judged
      ? bad(judged.broken)
      : err(unknownKeys(name, keyring, judged.unknown));
  return ok({ text: verified.text, signers: judged.signers });
}

/** What signatures say: who signed, what is broken, or that all of them are by keys that are not in the ring. */
export type Judgement =
  | { readonly signers: readonly string[] }
  | { readonly broken: string }
  | { readonly unknown: string };

/**
 * Verifies a detached signature (ASCII-armoured, or the packets themselves) over bytes, as of `now`; the rules are those of
 * clear-signed documents.
 */
export async function judgeDetached(
  bytes: Uint8Array,
  signature: string | Uint8Array,
  options: { readonly keyring: Keyring; readonly now: number },
): Promise<Judgement> {
  const { keyring, now } = options;
  try {
    const read = await (typeof signature === 'string'
      ? readSignature({ armoredSignature: signature })
      : readSignature({ binarySignature: signature }));
    const result = await verify({
      message: await createMessage({ binary: bytes }),
      signature: read,
      verificationKeys: [...keyring.keys],
      date: new Date(now),
    });
    return judge(await verdictsOf(result.signatures, keyring));
  } catch (e) {
    if (e instanceof Error) return { broken: e.message };
    throw e;
  }
}

/** PK012: a document is signed by keys that are not in the ring. */
export function unknownKeys(name: string, keyring: Keyring, ids: string): Failure {
  return failure('PK012', 3, `${name} is signed by keys that are not in ${keyring.name}: ${ids}`, {
    help: 'name the keyring of this repository with "signed-by:" or "keyring:"',
  });
}

function judge(verdicts: readonly Verdict[]): Judgement {
  const known = verdicts.filter((v) => v.fingerprint !== undefined);
  const broken = known.find((v) => v.error !== undefined);
  if (broken !== undefined)
    return { broken: `signature by ${broken.fingerprint ?? ''}: ${broken.error ?? ''}` };
  if (known.length === 0) return { unknown: verdicts.map((v) => v.keyId).join(', ') };
  return { signers: [...new Set(known.flatMap((v) => v.fingerprint ?? []))].sort(byCodeUnit) };
}

interface Verdict {
  readonly keyId: string;
  /** Of the primary key in the ring, or undefined when no key of the ring has this ID. */
  readonly fingerprint: string | undefined;
  readonly error: string | undefined;
}

async function checkSignatures(
  document: string,
  keyring: Keyring,
  date: Date,
): Promise<{ readonly text: string; readonly verdicts: readonly Verdict[] }> {
  const message = await readCleartextMessage({ cleartextMessage: document });
  const result = await verify({ message, verificationKeys: [...keyring.keys], date });
  return { text: result.data, verdicts: await verdictsOf(result.signatures, keyring) };
}

async function verdictsOf(
  signatures: readonly { readonly keyID: KeyID; readonly verified: Promise<true> }[],
  keyring: Keyring,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const signature of signatures) {
    const owner = keyring.keys.find((key) => key.getKeys(signature.keyID).length > 0);
    let error: string | undefined;
    try {
      await signature.verified;
    } catch (e) {
      if (!(e instanceof Error)) throw e;
      error = e.message;
    }
    verdicts.push({
      keyId: signature.keyID.toHex().toUpperCase(),
      fingerprint: owner?.getFingerprint().toUpperCase(),
      error,
    });
  }
  return verdicts;
}
