import {
  err,
  failure,
  type GoJson,
  goJson,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import { attachmentsIn } from './attachments.ts';
import { type CacheConfig, encodeCacheConfig } from './cache-config.ts';
import type { CacheGraph, GraphLayer } from './cache-graph.ts';
import { decodeConfigValue } from './decode-cache-config.ts';

/** The bytes of a config: members are set in the order of the Go structures (remotecache/v1/types/spec.go). */
export function cacheConfigText(
  config: CacheConfig,
  annotations?: ReadonlyMap<string, GraphLayer>,
): string {
  return goJson({
    layers: config.layers?.map(({ blob, parent }) => ({
      blob,
      parent,
      annotations: annotationOf(annotations?.get(blob)),
    })),
    records: config.records?.map(({ layers, digest, inputs }) => ({
      layers: layers?.map(({ layer, createdAt }) => ({ layer, createdAt })),
      digest,
      inputs: inputs?.map((links) => links.map(({ selector, link }) => ({ selector, link }))),
    })),
  });
}

/** Where nothing says when a layer was made, Go writes the zero time. */
const ZERO_TIME = '0001-01-01T00:00:00Z';

function annotationOf(layer: GraphLayer | undefined): GoJson | undefined {
  if (layer === undefined) return undefined;
  const { mediaType, diffId, size, createdAt } = layer;
  return { mediaType, diffID: diffId, size, createdAt: createdAt ?? ZERO_TIME };
}

/** Writes a graph as a config that needs no manifest beside it: every layer carries its descriptor (BuildKit's gha and s3). */
export function encodeAnnotatedConfig(graph: CacheGraph): string {
  const { config, layers } = encodeCacheConfig(graph);
  return cacheConfigText(config, new Map(layers.map((layer) => [layer.blob, layer])));
}

/** Reads what `encodeAnnotatedConfig` or BuildKit wrote; results with a layer whose descriptor is not complete are dropped. */
export function decodeAnnotatedConfig(bytes: Uint8Array): Result<CacheGraph> {
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!parsed.ok)
    return err(
      failure('RC001', 3, `cache config: ${parsed.error}`, {
        help: 'the cache is not used; export it again to replace it',
      }),
    );
  const facts = new Map<string, Omit<GraphLayer, 'blob'>>();
  const layers = isRecord(parsed.value) ? parsed.value['layers'] : undefined;
  for (const row of Array.isArray(layers) ? layers : []) {
    const fact = isRecord(row) ? factOf(row['annotations']) : undefined;
    if (isRecord(row) && typeof row['blob'] === 'string' && fact !== undefined)
      facts.set(row['blob'], fact);
  }
  const graph = decodeConfigValue(parsed.value, (blob) => facts.get(blob));
  const attachments = attachmentsIn(parsed.value);
  return graph.ok && attachments.length > 0 ? ok({ ...graph.value, attachments }) : graph;
}

function factOf(value: unknown): Omit<GraphLayer, 'blob'> | undefined {
  if (!isRecord(value)) return undefined;
  const { mediaType, diffID, size, createdAt } = value;
  const diffId = typeof diffID === 'string' ? parseDigest(diffID) : undefined;
  if (typeof mediaType !== 'string' || diffId === undefined) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  const made = typeof createdAt === 'string' && createdAt !== ZERO_TIME ? { createdAt } : {};
  return { mediaType, size, diffId, ...made };
}
