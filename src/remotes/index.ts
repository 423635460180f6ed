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
export { decodeCacheConfig, type LayerFacts } from './decode-cache-config.ts';
export { createDirectoryRemote, type DirectoryPlace } from './directory-remote.ts';
export { type Imported, importGraph } from './import-graph.ts';
export {
  decodeInlineCache,
  encodeInlineCache,
  INLINE_CACHE_MEMBER,
  type InlineRecord,
} from './inline-cache.ts';
export { readCache } from './read-cache.ts';
export { createRegistryRemote } from './registry-remote.ts';
