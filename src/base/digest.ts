import { hash } from 'node:crypto';

/** A content digest in the OCI form `sha256:<64 hex>` (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = `sha256:${string}` & { readonly __brand: 'Digest' };

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** The digest written in `text`, or undefined when it is not a lower-case sha256 digest. */
export function parseDigest(text: string): Digest | undefined {
  // Brand constructor: the pattern is the proof.
  return DIGEST.test(text) ? (text as Digest) : undefined;
}

/** SHA-256 of bytes, or of the UTF-8 form of a string. */
export function sha256(data: string | Uint8Array): Digest {
  return digestOfHex(hash('sha256', data, 'hex'));
}

/** Makes a digest of 64 lower-case hexadecimal characters that a hash function returned. */
export function digestOfHex(hex: string): Digest {
  const digest = parseDigest(`sha256:${hex}`);
  if (digest === undefined) throw new Error(`not the hexadecimal form of a SHA-256: ${hex}`);
  return digest;
}

/** Makes a digest of the 32 bytes at `at` of a buffer that holds SHA-256 values. */
export function digestOfBytes(bytes: Buffer, at: number): Digest {
  const hex = bytes.toString('hex', at, at + 32);
  if (hex.length !== 64) throw new Error(`no SHA-256 at ${at}`);
  // Brand constructor: 32 bytes have no other hexadecimal form.
  return `sha256:${hex}` as Digest;
}

/** The 64 hexadecimal characters of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
