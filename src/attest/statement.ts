import { type Digest, type GoJson, goJson, hexOf } from '../base/index.ts';
import { type Platform, parseReference } from '../oci/index.ts';
import { imageUrl } from './image-url.ts';

/** What a statement is about. */
export interface Subject {
  readonly name: string;
  readonly digest: Digest;
}

/** A predicate and its type. */
export interface Predicate {
  readonly type: string;
  readonly content: GoJson;
}

/** The type of an SPDX document as a predicate (in-toto attestation, predicates/spdx.md). */
export const SPDX_TYPE = 'https://spdx.dev/Document';

/** Media type of a statement as a layer of an attestation manifest. */
export const STATEMENT_MEDIA_TYPE = 'application/vnd.in-toto+json';

/** An in-toto statement as bytes (in-toto attestation framework, spec/v1/statement.md). */
export function statement(subjects: readonly Subject[], { type, content }: Predicate): Uint8Array {
  return Buffer.from(
    goJson({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: type,
      subject: subjects.map(({ name, digest }) => ({ name, digest: { sha256: hexOf(digest) } })),
      predicate: content,
    }),
  );
}

/** The subjects that an image of one platform is: itself under each of its names; without one, under `_`. */
export function imageSubjects(
  names: readonly string[],
  digest: Digest,
  platform: Platform,
): readonly Subject[] {
  const named = names.flatMap((text) => {
    const ref = parseReference(text);
    return ref.ok ? [{ name: imageUrl('docker', ref.value, platform), digest }] : [];
  });
  return named.length === 0 ? [{ name: '_', digest }] : named;
}
