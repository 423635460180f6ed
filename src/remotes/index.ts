export {
  cacheConfigText,
  decodeAnnotatedConfig,
  encodeAnnotatedConfig,
} from './annotated-config.ts';
export { ATTACHMENTS_MEMBER, attachmentsText, withMember } from './attachments.ts';
export {
  CACHE_CONFIG_MEDIA_TYPE,
  type CacheConfig,
  type ConfigRecord,
  encodeCacheConfig,
  MAX_CACHE_CONFIG_BYTES,
} from './cache-config.ts';
export type { CacheGraph, GraphLayer, GraphLink, GraphRecord, GraphResult } from './cache-graph.ts';
export {
  type CacheCarrier,
  cacheCarrier,
  encodeCacheManifest,
  layerFacts,
} from './cache-manifest.ts';
export {
  type CacheServices,
  type CacheServicesDeps,
  createCacheServices,
  type ServicePlace,
} from './cache-services.ts';
export { decodeCacheConfig, type LayerFacts } from './decode-cache-config.ts';
export { createDirectoryRemote, type DirectoryPlace } from './directory-remote.ts';
export {
  DIRECTORY_RULES,
  type DirectoryRules,
  type Swept,
  sweepDirectory,
} from './directory-sweep.ts';
export { type GhaAccount, type GhaPlace, ghaRights } from './gha/place.ts';
export {
  decodeImageIndexes,
  EMPTY_CONFIG,
  emptyConfig,
  encodeImageIndexes,
  IMAGE_INDEXES_TYPE,
} from './image-indexes.ts';
export {
  type ImportClaims,
  type Imported,
  type ImportOrigin,
  importGraph,
  type LayerClaim,
  noClaims,
  resultName,
} from './import-graph.ts';
export {
  decodeInlineCache,
  encodeInlineCache,
  INLINE_CACHE_MEMBER,
  type InlineRecord,
} from './inline-cache.ts';
export { mergeGraphs } from './merge-graphs.ts';
export { decodeMountIndex } from './mount-decode.ts';
export { type ExportedMount, exportMount, type MountExport } from './mount-export.ts';
export {
  type FoundMount,
  findMount,
  type MountKey,
  mountRemote,
  readMountIndex,
} from './mount-manifest.ts';
export { type RestoredMount, type RestoreOptions, restoreMount } from './mount-restore.ts';
export type { ReadOptions } from './read-cache.ts';
export { type CacheLack, readCache } from './read-cache.ts';
export { recordAddresses } from './record-addresses.ts';
export { createRegistryRemote } from './registry-remote.ts';
export type { S3Credentials, S3Place } from './s3/place.ts';
export { scopeMatches, scopeTag } from './scope.ts';
export { createSharedDirectory, type SharedDirectoryPlace } from './shared-directory.ts';
export {
  cacheSubject,
  readSigningKey,
  readTrustedKey,
  refuseSubject,
  refuseUnsigned,
  SIGNATURE_MEMBER,
  type SigningKey,
  signCache,
  signSubject,
  type TrustedKey,
} from './signature.ts';
export {
  decodeStepTraces,
  encodeStepTraces,
  MAX_TRACES,
  MAX_TRACES_BYTES,
  type TravellingTrace,
  type TravellingTraces,
} from './step-traces.ts';
export { type SuspectBlobs, suspectBlobs } from './suspect-blobs.ts';
