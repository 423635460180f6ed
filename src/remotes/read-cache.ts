import {
  awaitAll,
  type Digest,
  err,
  type Failure,
  failure,
  ok,
  type Result,
  sha256,
} from '../base/index.ts';
import {
  type Descriptor,
  decodeManifest,
  MAX_CONFIG_BYTES,
  type ManifestOrIndex,
  REFERENCE_TYPE,
} from '../oci/index.ts';
import type { CacheRemote } from '../ports/index.ts';
import { decodeAnnotatedConfig } from './annotated-config.ts';
import { isAttachment } from './attachments.ts';
import type { CacheGraph } from './cache-graph.ts';
import { cacheCarrier, layerFacts } from './cache-manifest.ts';
import { decodeCacheConfig } from './decode-cache-config.ts';
import { decodeInlineCache } from './inline-cache.ts';
import { mergeGraphs } from './merge-graphs.ts';
import { SIGNATURE_MEMBER, signatureIn } from './signature.ts';

/** Configs are read up to here: BuildKit writes larger ones than it reads itself (`MAX_CACHE_CONFIG_BYTES`). */
const MAX_READ_BYTES = 16 << 20;
/** Images of an index that are looked at for inline caches. */
const MAX_IMAGES = 64;

/** How a cache is read. */
export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Why a cache is not taken although it can be read; asked with all that it says and the signature it carries. */
  readonly refuse?: (graph: CacheGraph, signature: string | undefined) => Failure | undefined;
  /** Told of a part of the cache that is not taken while others are. */
  readonly onPart?: (why: Failure) => void;
  /** Told of results that are left out because a layer of theirs is not there in its size. */
  readonly onLack?: (lack: CacheLack) => void;
}

/** What a cache names and does not have. */
export interface CacheLack {
  readonly layers: readonly Digest[];
  readonly results: number;
}

/**
 * Reads the key graphs under a remote's name: one of a cache, or one of every image with an inline cache. Only the manifest
 * and the config are fetched; a layer that is known to be absent costs its records their results, not the cache.
 */
export async function readCache(
  remote: CacheRemote,
  options: ReadOptions,
): Promise<Result<readonly CacheGraph[]>> {
  return remote.manifests === undefined
    ? await readAt(remote, undefined, options)
    : await readAll(remote, await remote.manifests(options), options);
}

/** A name that stands for several manifests: what is wrong with one costs that one. */
async function readAll(
  remote: CacheRemote,
  parts: readonly Result<Uint8Array>[],
  options: ReadOptions,
): Promise<Result<readonly CacheGraph[]>> {
  const read = await awaitAll(
    parts.map(async (bytes) =>
      bytes.ok ? await readDocument(remote, bytes.value, options) : bytes,
    ),
  );
  const graphs = read.flatMap((part) => (part.ok ? part.value : []));
  const failed = read.flatMap((part) => (part.ok ? [] : [part.error]));
  if (graphs.length === 0)
    return err(failed[0] ?? failure('RC005', 3, `${remote.name} holds no cache yet`));
  for (const why of failed) options.onPart?.(why);
  return ok([mergeGraphs(graphs)]);
}

async function readAt(
  remote: CacheRemote,
  child: Descriptor | undefined,
  options: ReadOptions,
): Promise<Result<readonly CacheGraph[]>> {
  if (remote.form === 'config') return await readConfigs(remote, options);
  const bytes = await remote.manifest(options, child);
  return bytes.ok ? await readDocument(remote, bytes.value, options, child) : bytes;
}

async function readDocument(
  remote: CacheRemote,
  bytes: Uint8Array,
  options: ReadOptions,
  child?: Descriptor,
): Promise<Result<readonly CacheGraph[]>> {
  const document = decodeManifest(bytes, remote.name);
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
    if (!inline.ok || inline.value === undefined) return inline.ok ? ok([]) : inline;
    const refused = options.refuse?.(inline.value, undefined);
    return refused === undefined ? ok([{ ...inline.value, image: sha256(bytes) }]) : err(refused);
  }
  const graph = decodeCacheConfig(Buffer.from(raw.value).toString('utf8'), layerFacts(layers));
  if (!graph.ok) return graph;
  const attachments = layers.filter(isAttachment);
  const whole = { ...graph.value, ...(attachments.length === 0 ? {} : { attachments }) };
  const refused = options.refuse?.(whole, signatureOf(document.value));
  if (refused !== undefined) return err(refused);
  return ok([await withoutMissing(remote, layers, whole, options)]);
}

function signatureOf(document: ManifestOrIndex): string | undefined {
  const { annotations } = document.kind === 'index' ? document.index : document.manifest;
  return annotations?.[SIGNATURE_MEMBER];
}

/** A graph without what is known not to be there: results that have a missing layer, and missing attachments. */
async function withoutMissing(
  remote: CacheRemote,
  layers: readonly Descriptor[],
  graph: CacheGraph,
  { onLack }: ReadOptions,
): Promise<CacheGraph> {
  const missing = new Set<Digest>();
  await awaitAll(
    layers.map(async (layer) => {
      if (!(await remote.mayHave(layer))) missing.add(layer.digest);
    }),
  );
  if (missing.size === 0) return graph;
  const lost = new Set<Digest>();
  let results = 0;
  const records = graph.records.map((record) => {
    const whole = record.results.filter((result) => {
      const lacks = result.layers.filter(({ blob }) => missing.has(blob));
      for (const { blob } of lacks) lost.add(blob);
      return lacks.length === 0;
    });
    results += record.results.length - whole.length;
    return { ...record, results: whole };
  });
  if (results > 0) onLack?.({ layers: [...lost], results });
  const attachments = graph.attachments?.filter(({ digest }) => !missing.has(digest));
  return {
    records,
    ...(attachments === undefined || attachments.length === 0 ? {} : { attachments }),
  };
}

async function readImages(
  remote: CacheRemote,
  manifests: readonly Descriptor[],
  options: ReadOptions,
): Promise<Result<readonly CacheGraph[]>> {
  const graphs: CacheGraph[] = [];
  for (const image of manifests.slice(0, MAX_IMAGES)) {
    if (image.annotations?.[REFERENCE_TYPE] !== undefined) continue;
    const found = await readAt(remote, image, options);
    if (!found.ok) return found;
    graphs.push(...found.value);
  }
  return ok(graphs);
}

/** Bare configs: nothing else has to be read. What is wrong with one of two costs that one. */
async function readConfigs(
  remote: CacheRemote,
  options: ReadOptions,
): Promise<Result<readonly CacheGraph[]>> {
  const [own, further] = await Promise.all([
    remote.manifest(options),
    remote.further?.(options) ?? ok(undefined),
  ]);
  if (!own.ok && (own.error.code !== 'RC010' || (further.ok && further.value === undefined)))
    return own;
  const graphs: CacheGraph[] = [];
  const failed: Failure[] = further.ok ? [] : [further.error];
  for (const bytes of [further.ok ? further.value : undefined, own.ok ? own.value : undefined]) {
    if (bytes === undefined) continue;
    const graph = decodeAnnotatedConfig(bytes);
    const refused = graph.ok ? options.refuse?.(graph.value, signatureIn(bytes)) : graph.error;
    if (refused !== undefined) failed.push(refused);
    else if (graph.ok) graphs.push(graph.value);
  }
  const [first] = failed;
  if (graphs.length === 0 && first !== undefined) return err(first);
  for (const why of failed) options.onPart?.(why);
  return ok(graphs);
}
