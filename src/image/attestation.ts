import {
  type Descriptor,
  encodeImageConfig,
  encodeManifest,
  MEDIA,
  REFERENCE_DIGEST,
  REFERENCE_TYPE,
} from '../oci/index.ts';
import type { ImageDeps } from './deps.ts';

/** Value of the annotation `REFERENCE_TYPE` for a manifest of statements. */
export const ATTESTATION = 'attestation-manifest';

/** A statement about an image: an in-toto statement as bytes, and the type of its predicate. */
export interface Statement {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly predicateType: string;
}

/** Statements about one image in the content store. */
export interface AttestationManifest {
  /** As the index names it: of no platform that could run, with the digest of the image. */
  readonly descriptor: Descriptor;
  readonly config: Descriptor;
  readonly statements: readonly Descriptor[];
}

/**
 * Writes the manifest that holds the statements about an image (BuildKit docs/attestations/attestation-storage.md). It is
 * OCI's in every family: Docker's manifests have no annotations on layers.
 */
export async function assembleAttestation(
  { content }: Pick<ImageDeps, 'content'>,
  image: Descriptor,
  statements: readonly Statement[],
): Promise<AttestationManifest> {
  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => ({
    mediaType,
    digest: await content.put(bytes),
    size: bytes.length,
  });
  const layers: Descriptor[] = [];
  for (const { bytes, mediaType, predicateType } of statements)
    layers.push({
      ...(await put(mediaType, bytes)),
      annotations: { 'in-toto.io/predicate-type': predicateType },
    });
  const config = await put(
    MEDIA.ociConfig,
    encodeImageConfig({
      architecture: 'unknown',
      os: 'unknown',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  );
  const manifest = await put(
    MEDIA.ociManifest,
    encodeManifest({ mediaType: MEDIA.ociManifest, config, layers }),
  );
  const descriptor: Descriptor = {
    ...manifest,
    annotations: {
      [REFERENCE_DIGEST]: image.digest,
      [REFERENCE_TYPE]: ATTESTATION,
    },
    platform: { architecture: 'unknown', os: 'unknown' },
  };
  return { descriptor, config, statements: layers };
}
