import type { CacheGraph, GraphLink, GraphRecord, GraphResult } from './cache-graph.ts';

/**
 * One graph with all that several have: records of the same digest below the same inputs are one, with the results of all.
 * What is of an earlier graph comes first.
 */
export function mergeGraphs(graphs: readonly CacheGraph[]): CacheGraph {
  const [only, ...others] = graphs;
  if (only !== undefined && others.length === 0) return only;
  const merged: (Omit<GraphRecord, 'results'> & { results: GraphResult[] })[] = [];
  const places = new Map<string, number>();
  for (const { records } of graphs) {
    const place = new Map<number, number>();
    for (const index of inputsFirst(records)) {
      const record = records[index];
      if (record === undefined) continue;
      const inputs = record.inputs.map((links) =>
        links.map((link): GraphLink => ({ ...link, record: place.get(link.record) ?? 0 })),
      );
      const key = [
        record.digest,
        ...inputs.map((links) =>
          links
            .map((link) => `${link.record} ${link.selector ?? ''}`)
            .sort()
            .join(','),
        ),
      ].join(';');
      const known = places.get(key) ?? merged.length;
      places.set(key, known);
      place.set(index, known);
      merged[known] ??= { digest: record.digest, inputs, results: [] };
      for (const result of record.results) addResult(merged[known].results, result);
    }
  }
  const attached = new Map(
    graphs.flatMap(({ attachments = [] }) => attachments.map((each) => [each.digest, each])),
  );
  return {
    records: merged,
    ...(attached.size === 0 ? {} : { attachments: [...attached.values()] }),
  };
}

function addResult(results: GraphResult[], result: GraphResult): void {
  const same = (other: GraphResult): boolean =>
    other.layers.length === result.layers.length &&
    other.layers.every((layer, i) => layer.blob === result.layers[i]?.blob);
  if (!results.some(same)) results.push(result);
}

/** Indexes in an order in which every record comes after those it links to; the links form no circle. */
export function inputsFirst(records: readonly GraphRecord[]): number[] {
  const waits = records.map(
    (record) => new Set(record.inputs.flatMap((links) => links.map((link) => link.record))).size,
  );
  const children = records.map((): Set<number> => new Set());
  for (const [index, record] of records.entries())
    for (const { record: parent } of record.inputs.flat()) children[parent]?.add(index);
  const order = records.map((_, i) => i).filter((i) => waits[i] === 0);
  for (const index of order) {
    for (const child of children[index] ?? []) {
      const left = (waits[child] ?? 0) - 1;
      waits[child] = left;
      if (left === 0) order.push(child);
    }
  }
  return order;
}
