export {
  CACHE_CONFIG_MEDIA_TYPE,
  type CacheConfig,
  type ConfigRecord,
  decodeCacheConfig,
  encodeCacheConfig,
  type LayerFacts,
  MAX_CACHE_CONFIG_BYTES,
} from './cache-config.ts';
export type { CacheGraph, GraphLayer, GraphLink, GraphRecord, GraphResult } from './cache-graph.ts';
