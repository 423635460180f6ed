import { err, failure, ok, type Result } from '../base/index.ts';
import {
  type Descriptor,
  decodeManifest,
  FILE_INDEX_MEDIA_TYPE,
  MAX_CONFIG_BYTES,
} from '../oci/index.ts';
import type { CacheRemote } from '../ports/index.ts';
import { decodeAnnotatedConfig } from './annotated-config.ts';
import type { CacheGraph } from './cache-graph.ts';
import { cacheCarrier, layerFacts } from './cache-manifest.ts';
import { decodeCacheConfig } from './decode-cache-config.ts';
import { decodeInlineCache } from './inline-cache.ts';

/** Configs are read up to here: BuildKit writes larger ones than it reads itself (`MAX_CACHE_CONFIG_BYTES`). */
const MAX_READ_BYTES = 16 << 20;
/** Images of an index that are looked at for inline caches. */
const MAX_IMAGES = 64;

/**
 * Reads the key graphs under a remote's name: one of a cache, or one of every image with an inline cache. Only the manifest
 * and the config are fetched; a layer that is known to be absent costs its records their results, not the cache.
 */
export async function readCache(
  remote: CacheRemote,
  options: { readonly signal: AbortSignal },
): Promise<Result<readonly CacheGraph[]>> {
  return await readAt(remote, undefined, options);
}

async function readAt(
  remote: CacheRemote,
  child: Descriptor | undefined,
  options: { readonly signal: AbortSignal },
): Promise<Result<readonly CacheGraph[]>> {
  if (remote.form === 'config') return await readConfigs(remote, options);
  const bytes = await remote.manifest(options, child);
  if (!bytes.ok) return bytes;
  const document = decodeManifest(bytes.value, remote.name);
  if (!document.ok) return document;
  const carrier = cacheCarrier(document.value);
  if (!carrier.ok) return carrier;
  if (carrier.value.kind === 'images')
    return child === undefined
      ? await readImages(remote, carrier.value.manifests, options)
      : err(failure('RC002', 3, 'an index inside an index holds no build cache'));
  const { kind, config, layers } = carrier.value;
  const maxBytes = kind === 'cache' ? MAX_READ_BYTES : MAX_CONFIG_BYTES;
  if (config.size > maxBytes)
    return err(failure('RC004', 3, `the config has ${config.size} bytes, more than ${maxBytes}`));
  const raw = await remote.read(config, { ...options, maxBytes });
  if (!raw.ok) return raw;
  if (kind === 'image') {
    const inline = decodeInlineCache(raw.value, layers);
    if (!inline.ok) return inline;
    return ok(inline.value === undefined ? [] : [inline.value]);
  }
  const here: Descriptor[] = [];
  for (const layer of layers) if (await remote.mayHave(layer)) here.push(layer);
  const graph = decodeCacheConfig(Buffer.from(raw.value).toString('utf8'), layerFacts(here));
  if (!graph.ok) return graph;
  const fileIndexes = here.filter(({ mediaType }) => mediaType === FILE_INDEX_MEDIA_TYPE);
  return ok([{ ...graph.value, ...(fileIndexes.length === 0 ? {} : { fileIndexes }) }]);
}

async function readImages(
  remote: CacheRemote,
  manifests: readonly Descriptor[],
  options: { readonly signal: AbortSignal },
): Promise<Result<readonly CacheGraph[]>> {
  const graphs: CacheGraph[] = [];
  for (const image of manifests.slice(0, MAX_IMAGES)) {
    if (image.annotations?.['vnd.docker.reference.type'] !== undefined) continue;
    const found = await readAt(remote, image, options);
    if (!found.ok) return found;
    graphs.push(...found.value);
  }
  return ok(graphs);
}

/** Bare configs: nothing else has to be read. */
async function readConfigs(
  remote: CacheRemote,
  options: { readonly signal: AbortSignal },
): Promise<Result<readonly CacheGraph[]>> {
  const [own, further] = await Promise.all([
    remote.manifest(options),
    remote.further?.(options) ?? ok(undefined),
  ]);
  if (!further.ok) return further;
  if (!own.ok && (further.value === undefined || own.error.code !== 'RC010')) return own;
  const graphs: CacheGraph[] = [];
  for (const bytes of [further.value, own.ok ? own.value : undefined]) {
    if (bytes === undefined) continue;
    const graph = decodeAnnotatedConfig(bytes);
    if (!graph.ok) return graph;
    graphs.push(graph.value);
  }
  return ok(graphs);
}
