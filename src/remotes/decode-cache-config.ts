import {
  type Digest,
  err,
  failure,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import type { CacheGraph, GraphLayer, GraphLink, GraphRecord, GraphResult } from './cache-graph.ts';

/** More layers than this no tree has that a kernel can mount. */
const MAX_CHAIN = 1000;

/** Facts about a layer blob that the manifest's descriptor gives. */
export type LayerFacts = (blob: Digest) => Omit<GraphLayer, 'blob'> | undefined;

const malformed = (what: string): ReturnType<typeof failure> =>
  failure('RC001', 3, `cache config: ${what}`, {
    help: 'the cache is not used; export it again to replace it',
  });

/**
 * Reads a cache config. Whatever it names must exist in it; a result whose layer `facts` does not know is dropped (the
 * blob is not listed by the manifest), its record stays.
 */
export function decodeCacheConfig(text: string, facts: LayerFacts): Result<CacheGraph> {
  const parsed = parseJson(text);
  if (!parsed.ok) return err(malformed(parsed.error));
  return decodeConfigValue(parsed.value, facts);
}

/** As `decodeCacheConfig`, of a value that was parsed. */
export function decodeConfigValue(value: unknown, facts: LayerFacts): Result<CacheGraph> {
  if (!isRecord(value)) return err(malformed('expected an object'));
  const chains = decodeLayers(value['layers'], facts);
  if (!chains.ok) return chains;
  return decodeRecords(value['records'], chains.value);
}

type Chain = readonly GraphLayer[] | undefined;

function decodeLayers(value: unknown, facts: LayerFacts): Result<readonly Chain[]> {
  const rows: { blob: Digest; parent: number }[] = [];
  for (const row of listOf(value)) {
    const blob =
      isRecord(row) && typeof row['blob'] === 'string' ? parseDigest(row['blob']) : undefined;
    const parent = isRecord(row) ? (row['parent'] ?? 0) : 0;
    if (blob === undefined || typeof parent !== 'number' || !Number.isInteger(parent)) {
      return err(malformed(`layer ${rows.length} needs a blob digest and an integer parent`));
    }
    rows.push({ blob, parent });
  }
  const chains: Chain[] = [];
  for (let i = 0; i < rows.length; i++) {
    const chain = chainOf(rows, i, facts);
    if (!chain.ok) return chain;
    chains.push(chain.value);
  }
  return ok(chains);
}

function chainOf(
  rows: readonly { blob: Digest; parent: number }[],
  top: number,
  facts: LayerFacts,
): Result<Chain> {
  const layers: GraphLayer[] = [];
  let known = true;
  for (let at = top; at !== -1; ) {
    const row = rows[at];
    if (row === undefined)
      return err(malformed(`layer ${top} has parent ${at}, which does not exist`));
    if (layers.length > rows.length) return err(malformed(`layer ${top} is its own ancestor`));
    if (layers.length > MAX_CHAIN)
      return err(malformed(`layer ${top} lies on more than ${MAX_CHAIN} others`));
    const fact = facts(row.blob);
    if (fact === undefined) known = false;
    layers.push({ blob: row.blob, ...(fact ?? { mediaType: '', size: 0, diffId: row.blob }) });
    at = row.parent;
  }
  return ok(known ? layers.reverse() : undefined);
}

function decodeRecords(value: unknown, chains: readonly Chain[]): Result<CacheGraph> {
  const rows = listOf(value);
  const records: GraphRecord[] = [];
  for (const [i, row] of rows.entries()) {
    const digest =
      isRecord(row) && typeof row['digest'] === 'string' ? parseDigest(row['digest']) : undefined;
    if (!isRecord(row) || digest === undefined) return err(malformed(`record ${i} needs a digest`));
    const inputs: GraphLink[][] = [];
    for (const alternatives of listOf(row['inputs'])) {
      const links = decodeLinks(alternatives, rows.length);
      if (links === undefined)
        return err(malformed(`record ${i} has a link to a record that does not exist`));
      inputs.push(links);
    }
    const results = decodeResults(row, chains);
    if (results === undefined)
      return err(malformed(`record ${i} has a result with a layer that does not exist`));
    records.push({ digest, inputs, results });
  }
  return hasCycle(records)
    ? err(malformed('records link to each other in a circle'))
    : ok({ records });
}

function decodeLinks(value: unknown, count: number): GraphLink[] | undefined {
  const links: GraphLink[] = [];
  for (const link of listOf(value)) {
    const record = isRecord(link) ? (link['link'] ?? 0) : undefined;
    if (typeof record !== 'number' || !Number.isInteger(record) || record < 0 || record >= count)
      return undefined;
    const selector =
      isRecord(link) && typeof link['selector'] === 'string'
        ? parseDigest(link['selector'])
        : undefined;
    links.push({ record, ...(selector === undefined ? {} : { selector }) });
  }
  return links;
}

function decodeResults(
  row: Readonly<Record<string, unknown>>,
  chains: readonly Chain[],
): GraphResult[] | undefined {
  const results: GraphResult[] = [];
  for (const result of [...listOf(row['layers']), ...listOf(row['chains'])]) {
    if (!isRecord(result)) return undefined;
    const indexes = 'layers' in result ? listOf(result['layers']) : [result['layer'] ?? 0];
    const layers =
      'layers' in result ? explicitChain(indexes, chains) : chainAt(indexes[0], chains);
    if (layers === 'missing') return undefined;
    if (layers === undefined) continue;
    const createdAt =
      typeof result['createdAt'] === 'string' ? { createdAt: result['createdAt'] } : {};
    results.push({ layers, ...createdAt });
  }
  return results;
}

function chainAt(index: unknown, chains: readonly Chain[]): Chain | 'missing' {
  return typeof index === 'number' && index in chains ? chains[index] : 'missing';
}

/** An explicit list names single layers, not chains: each index stands for its own blob. */
function explicitChain(indexes: readonly unknown[], chains: readonly Chain[]): Chain | 'missing' {
  const layers: GraphLayer[] = [];
  for (const index of indexes) {
    const chain = chainAt(index, chains);
    if (chain === 'missing') return 'missing';
    const top = chain?.at(-1);
    if (top === undefined) return undefined;
    layers.push(top);
  }
  return layers;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function hasCycle(records: readonly GraphRecord[]): boolean {
  const state = new Map<number, 'open' | 'done'>();
  for (let root = 0; root < records.length; root++) {
    const stack: { index: number; next: readonly GraphLink[] }[] = [];
    const enter = (index: number): boolean => {
      if (state.get(index) === 'open') return true;
      if (state.get(index) === undefined) {
        state.set(index, 'open');
        stack.push({ index, next: records[index]?.inputs.flat() ?? [] });
      }
      return false;
    };
    if (enter(root)) return true;
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const [link, ...rest] = top.next;
      if (link === undefined) {
        state.set(top.index, 'done');
        stack.pop();
      } else {
        top.next = rest;
        if (enter(link.record)) return true;
      }
    }
  }
  return false;
}
