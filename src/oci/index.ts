export {
  decodeImageConfig,
  encodeImageConfig,
  type HistoryItem,
  type ImageConfig,
  MAX_CONFIG_BYTES,
} from './image-config.ts';
export { goJsonIndent } from './indent.ts';
export {
  decodeDescriptor,
  decodeManifest,
  decodeNamed,
  descriptorJson,
  encodeIndex,
  encodeManifest,
  type Index,
  MAX_INDEX_NESTING,
  MAX_MANIFEST_BYTES,
  type Manifest,
  type ManifestOrIndex,
} from './manifest.ts';
export {
  type Compression,
  FILE_INDEX_MEDIA_TYPE,
  INDEXED_LAYER,
  isIndexType,
  isManifestType,
  layerCompression,
  layerMediaType,
  MEDIA,
  REFERENCE_DIGEST,
  REFERENCE_TYPE,
  STEP_TRACES_MEDIA_TYPE,
} from './media-types.ts';
export {
  formatPlatform,
  hostPlatform,
  normalise as normaliseOciPlatform,
  parsePlatform,
  pickPlatform,
  platformRank,
} from './platform.ts';
export {
  familiarReference,
  formatReference,
  normaliseReference,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from './reference.ts';
export type { Descriptor, Platform } from './types.ts';
