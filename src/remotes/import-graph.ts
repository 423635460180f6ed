import type {
  CacheDb,
  CachedResult,
  LayerChain,
  LayerId,
  LayerRef,
  RecordId,
  RecordInput,
} from '../ports/index.ts';
import type { CacheGraph, GraphLayer, GraphRecord, GraphResult } from './cache-graph.ts';
import { inputsFirst } from './merge-graphs.ts';

/** How much of a graph came in. */
export interface Imported {
  readonly records: number;
  readonly results: number;
  /** What the graph has of each record it knows. */
  readonly known: ReadonlyMap<RecordId, 'result' | 'key'>;
  /** The record that each record of the graph, by its index, is in the database. */
  readonly ids: ReadonlyMap<number, RecordId>;
}

/** Where a graph comes from. */
export interface ImportOrigin {
  /** Where its layers can be had (`LayerRef.origin`). */
  readonly origin: string;
  /** Name of the cache (`CachedResult.source`). */
  readonly source: string;
  /**
   * Layers and results that preferred caches of the same build gave already, added to here: they stay theirs. What a layer
   * is called there is added to `elsewhere`, for when it cannot be had from its first place.
   */
  readonly claims: ImportClaims;
}

/** What the caches of one build gave so far. */
export interface ImportClaims {
  readonly layers: Map<LayerId, LayerClaim>;
  readonly results: Set<string>;
}

/** Which cache has a layer, and which others. */
export interface LayerClaim {
  readonly source: string;
  readonly origin: string;
  readonly elsewhere: { readonly source: string; readonly layer: LayerRef }[];
}

/** Nothing is claimed yet. */
export function noClaims(): ImportClaims {
  return { layers: new Map(), results: new Set() };
}

/**
 * Enters a graph into the database: records below those they link to, results whose layers stay at `origin` until a step
 * needs their files. What the store made itself is preferred to what is imported.
 */
export function importGraph(cache: CacheDb, graph: CacheGraph, from: ImportOrigin): Imported {
  const ids = new Map<number, RecordId>();
  const known = new Map<RecordId, 'result' | 'key'>();
  let results = 0;
  for (const index of inputsFirst(graph.records)) {
    const record = graph.records[index];
    if (record === undefined) continue;
    const inputs = record.inputs.map((links) => inputsOf(links, ids));
    // A record that one of its inputs never leads to can be found in no way.
    if (inputs.some((alternatives) => alternatives.length === 0)) continue;
    const id = cache.ensureRecord(record.digest, inputs);
    ids.set(index, id);
    if (!known.has(id)) known.set(id, 'key');
    for (const result of record.results) {
      if (result.layers.length === 0) continue;
      addResult(cache, id, result, from);
      known.set(id, 'result');
      results++;
    }
  }
  return { records: ids.size, results, known, ids };
}

function inputsOf(
  links: GraphRecord['inputs'][number],
  ids: ReadonlyMap<number, RecordId>,
): RecordInput[] {
  return links.flatMap(({ record, selector }) => {
    const id = ids.get(record);
    if (id === undefined) return [];
    return [selector === undefined ? { record: id } : { record: id, selector }];
  });
}

function addResult(cache: CacheDb, id: RecordId, result: GraphResult, from: ImportOrigin): void {
  const chain = result.layers.map((layer) => claim(layerRef(layer, result, from.origin), from));
  const name = resultName(id, chain);
  const { results } = from.claims;
  const known = cache.results(id);
  const same = known.find((each) => sameChain(each.chain, chain));
  const made = millisOf(result.createdAt);
  const oldest = Math.min(...known.map((each) => each.createdAt));
  // What this store made itself stays its own; what several caches have is the preferred one's.
  const own = same !== undefined && same.source === undefined;
  const source = own ? undefined : results.has(name) ? same?.source : from.source;
  results.add(name);
  // The chain that is known already is entered again for where its layers can be had now.
  const entry: CachedResult = {
    chain,
    createdAt: same?.createdAt ?? Math.min(made, oldest - 1),
    costMs: same?.costMs ?? 0,
    ...(source === undefined ? {} : { source }),
  };
  cache.addResult(id, entry);
}

/** Names a result of a record among the claims. */
export function resultName(record: RecordId, chain: LayerChain): string {
  return [record, ...chain.map((layer) => layer.id)].join(' ');
}

/** A layer as it is entered: one that a preferred cache has stays where it is known to be. */
function claim(layer: LayerRef, { claims, source, origin }: ImportOrigin): LayerRef {
  const claimed = claims.layers.get(layer.id);
  if (claimed === undefined) {
    claims.layers.set(layer.id, { source, origin, elsewhere: [] });
    return layer;
  }
  if (claimed.source === source) return layer;
  if (claimed.elsewhere.every((each) => each.source !== source))
    claimed.elsewhere.push({ source, layer });
  const { blob: _blob, origin: _origin, ...rest } = layer;
  return rest;
}

function layerRef(layer: GraphLayer, result: GraphResult, origin: string): LayerRef {
  const { blob: digest, mediaType, size, diffId, createdAt } = layer;
  return {
    // A layer from outside is known by its diffID, which is verified when it is extracted.
    id: diffId as string as LayerId,
    diffId,
    blob: { mediaType, digest, size },
    origin,
    createdAt: millisOf(createdAt ?? result.createdAt),
  };
}

function sameChain(a: LayerChain, b: LayerChain): boolean {
  return a.length === b.length && a.every((layer, i) => layer.id === b[i]?.id);
}

/** Milliseconds of an RFC 3339 time with its digits below the millisecond; 0 for what is none. */
function millisOf(time: string | undefined): number {
  const millis = Date.parse(time ?? '');
  if (Number.isNaN(millis)) return 0;
  const below = /\.\d{3}(\d{1,6})\d*Z$/.exec(time ?? '')?.[1] ?? '';
  return below === '' ? millis : millis + Number(`0.${below}`);
}
