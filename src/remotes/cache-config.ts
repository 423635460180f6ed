import { byCodeUnit, type Digest } from '../base/index.ts';
import type { CacheGraph, GraphLayer, GraphRecord } from './cache-graph.ts';

/** Media type of the config blob of a cache manifest (BuildKit remotecache/v1). */
export const CACHE_CONFIG_MEDIA_TYPE = 'application/vnd.buildkit.cacheconfig.v0';

/** BuildKit refuses to read larger configs when it imports a cache. */
export const MAX_CACHE_CONFIG_BYTES = 1 << 20;

/** A position in a chain of layers: the same blob stands once for every parent it has. */
interface LayerNode {
  readonly layer: GraphLayer;
  readonly parent: LayerNode | undefined;
}

/** The shape of the config (remotecache/v1/types/spec.go); `parent` absent means 0, -1 none. */
export interface CacheConfig {
  readonly layers?: readonly { readonly blob: Digest; readonly parent?: number }[];
  readonly records?: readonly ConfigRecord[];
}

/** One record of a config. */
export interface ConfigRecord {
  readonly layers?: readonly { readonly layer: number; readonly createdAt?: string }[];
  readonly chains?: readonly { readonly layers: readonly number[]; readonly createdAt?: string }[];
  readonly digest: Digest;
  readonly inputs?: readonly (readonly { readonly selector?: Digest; readonly link: number }[])[];
}

/** Writes a graph as a cache config and lists the layers its manifest must name, in the manifest's order. */
export function encodeCacheConfig(graph: CacheGraph): {
  config: CacheConfig;
  layers: readonly GraphLayer[];
} {
  const nodes = new Map<string, LayerNode>();
  const tops = graph.records.map((record) =>
    record.results.map((result) => addChain(nodes, result.layers)),
  );
  const sorted = sortLayers([...nodes.values()]);
  const position = new Map(sorted.map((node, i) => [node, i]));
  const order = sortRecords(graph.records);
  const place = new Map(order.map((index, i) => [index, i]));
  const records = order.map((index) => encodeRecord(graph, index, { place, position, tops }));
  const layers = sorted.map(({ layer, parent }) => {
    const at = parent === undefined ? -1 : (position.get(parent) ?? 0);
    return at === 0 ? { blob: layer.blob } : { blob: layer.blob, parent: at };
  });
  const unique = new Map(sorted.map(({ layer }) => [layer.blob, layer]));
  return {
    config: {
      ...(layers.length > 0 ? { layers } : {}),
      ...(records.length > 0 ? { records } : {}),
    },
    layers: [...unique.values()],
  };
}

function addChain(
  nodes: Map<string, LayerNode>,
  layers: readonly GraphLayer[],
): LayerNode | undefined {
  let path = '';
  let parent: LayerNode | undefined;
  for (const layer of layers) {
    path += `/${layer.blob}`;
    const node = nodes.get(path) ?? { layer, parent };
    nodes.set(path, node);
    parent = node;
  }
  return parent;
}

/** BuildKit sorts layers by blob, then by the index of the parent; parents are compared by their own place, settled round by round. */
function sortLayers(nodes: readonly LayerNode[]): LayerNode[] {
  const path = (node: LayerNode): string =>
    `${node.layer.blob}${node.parent === undefined ? '' : `/${path(node.parent)}`}`;
  const keys = new Map(nodes.map((node) => [node, path(node)]));
  return [...nodes].sort((a, b) => byCodeUnit(keys.get(a) ?? '', keys.get(b) ?? ''));
}

function sortRecords(records: readonly GraphRecord[]): number[] {
  const key = (record: GraphRecord): string =>
    [
      record.digest,
      String(record.inputs.length).padStart(4, '0'),
      ...record.inputs.flatMap((links) =>
        links.map((l) => `${l.selector ?? ''}|${records[l.record]?.digest ?? ''}`).sort(byCodeUnit),
      ),
    ].join(',');
  const keys = records.map(key);
  return records.map((_, i) => i).sort((a, b) => byCodeUnit(keys[a] ?? '', keys[b] ?? '') || a - b);
}

function encodeRecord(
  graph: CacheGraph,
  index: number,
  maps: {
    readonly place: ReadonlyMap<number, number>;
    readonly position: ReadonlyMap<LayerNode, number>;
    readonly tops: readonly (readonly (LayerNode | undefined)[])[];
  },
): ConfigRecord {
  const record = graph.records[index];
  if (record === undefined) throw new Error(`no record ${index} in the graph`);
  const layers = record.results.flatMap((result, i) => {
    const top = maps.tops[index]?.[i];
    const at = top === undefined ? undefined : maps.position.get(top);
    if (at === undefined) return [];
    return [
      { layer: at, ...(result.createdAt === undefined ? {} : { createdAt: result.createdAt }) },
    ];
  });
  const inputs = record.inputs.map((links) =>
    links
      .map((link) => ({
        ...(link.selector === undefined ? {} : { selector: link.selector }),
        link: maps.place.get(link.record) ?? 0,
      }))
      .sort((a, b) => byCodeUnit(a.selector ?? '', b.selector ?? '') || a.link - b.link),
  );
  return {
    ...(layers.length > 0 ? { layers } : {}),
    digest: record.digest,
    ...(inputs.length > 0 ? { inputs } : {}),
  };
}
