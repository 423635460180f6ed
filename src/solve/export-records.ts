import { byCodeUnit, type Digest } from '../base/index.ts';
import type { CacheDb, LayerChain, RecordId } from '../ports/index.ts';

/** A record of the key graph as a cache export writes it (BuildKit cache config, `records`). */
export interface ExportedRecord {
  readonly record: RecordId;
  readonly digest: Digest;
  /** For each input its alternatives; `link` is the index of the linked record. */
  readonly inputs: readonly (readonly ExportedLink[])[];
  /** Newest first; empty for records that only lead to others. */
  readonly results: readonly { readonly chain: LayerChain; readonly createdAt: number }[];
}

export interface ExportedLink {
  readonly link: number;
  readonly selector?: Digest;
}

/**
 * The part of the key graph that leads to the results `records`, in BuildKit's order (by digest, number of inputs,
 * selectors, parents). `max` carries a result for every record that has inputs; `min` only those whose layers are among
 * the final result's, the other records still being there for their keys.
 */
export function exportRecords(
  cache: CacheDb,
  records: readonly RecordId[],
  mode: 'max' | 'min',
): readonly ExportedRecord[] {
  const nodes = collect(cache, records);
  const final = records.flatMap((record) => cache.results(record).slice(0, 1));
  const inFinal = (chain: LayerChain): boolean =>
    final.some((result) => chain.every((ref, i) => result.chain[i]?.id === ref.id));
  const sorted = [...nodes.values()].sort(
    (a, b) => byCodeUnit(a.digest, b.digest) || byCodeUnit(sortText(a, nodes), sortText(b, nodes)),
  );
  const index = new Map(sorted.map((node, i) => [node.record, i]));
  return sorted.map((node) => ({
    record: node.record,
    digest: node.digest,
    inputs: node.inputs.map((alternatives) =>
      alternatives
        .map(({ record, selector }) => ({
          link: index.get(record) ?? -1,
          ...(selector === undefined ? {} : { selector }),
        }))
        .sort((a, b) => a.link - b.link || byCodeUnit(a.selector ?? '', b.selector ?? '')),
    ),
    results:
      node.inputs.length === 0
        ? []
        : cache
            .results(node.record)
            .filter(({ chain }) => chain.length > 0 && (mode === 'max' || inFinal(chain)))
            .slice(0, 1)
            .map(({ chain, createdAt }) => ({ chain, createdAt })),
  }));
}

interface Node {
  readonly record: RecordId;
  readonly digest: Digest;
  readonly inputs: ReturnType<CacheDb['inputsOf']>;
}

function collect(cache: CacheDb, records: readonly RecordId[]): Map<RecordId, Node> {
  const nodes = new Map<RecordId, Node>();
  const pending = [...records];
  for (let record = pending.pop(); record !== undefined; record = pending.pop()) {
    if (nodes.has(record)) continue;
    const inputs = cache.inputsOf(record);
    nodes.set(record, { record, digest: cache.digestOf(record), inputs });
    for (const alternatives of inputs) for (const input of alternatives) pending.push(input.record);
  }
  return nodes;
}

function sortText(node: Node, nodes: ReadonlyMap<RecordId, Node>): string {
  const inputs = node.inputs.map((alternatives) =>
    alternatives
      .map(({ record, selector }) => `${selector ?? ''}:${nodes.get(record)?.digest ?? ''}`)
      .sort(byCodeUnit)
      .join(','),
  );
  return [String(inputs.length).padStart(6, '0'), ...inputs].join(';');
}
