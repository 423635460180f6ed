import { type Digest, sha256 } from '../base/index.ts';
import {
  type Descriptor,
  decodeManifest,
  encodeManifest,
  FILE_INDEX_MEDIA_TYPE,
  MEDIA,
} from '../oci/index.ts';

/** Type of the manifest with the file indexes of an image's layers, whose subject is the image (docs/adr/0086). */
export const IMAGE_INDEXES_TYPE = 'application/vnd.varve.file-indexes.v1';

/** The configuration of a manifest that needs none (image-spec, manifest.md, "Guidance for an Empty Descriptor"). */
export const EMPTY_CONFIG: Uint8Array = Buffer.from('{}');
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';

/** The descriptor of `EMPTY_CONFIG`. */
export function emptyConfig(): Descriptor {
  return {
    mediaType: EMPTY_TYPE,
    digest: sha256(EMPTY_CONFIG),
    size: EMPTY_CONFIG.length,
  };
}

/** The manifest that keeps file indexes beside an image without being part of it. */
export function encodeImageIndexes(
  { mediaType, digest, size }: Descriptor,
  indexes: readonly Descriptor[],
): Uint8Array {
  return encodeManifest({
    mediaType: MEDIA.ociManifest,
    artifactType: IMAGE_INDEXES_TYPE,
    config: emptyConfig(),
    layers: indexes,
    subject: { mediaType, digest, size },
  });
}

/** The file indexes that such a manifest names; none for what is something else. */
export function decodeImageIndexes(bytes: Uint8Array, name: Digest): readonly Descriptor[] {
  const decoded = decodeManifest(bytes, name);
  if (!decoded.ok || decoded.value.kind !== 'manifest') return [];
  return decoded.value.manifest.layers.filter(
    ({ mediaType }) => mediaType === FILE_INDEX_MEDIA_TYPE,
  );
}
