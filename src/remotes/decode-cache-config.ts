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
/** A config of a few bytes a result could name trees of a thousand layers each: what all results name is bounded. */
const MAX_RESULT_LAYERS = 2_000_000;
const MAX_RESULTS = 100_000;
const MAX_RESULTS_OF_ONE = 100;
const MAX_LINKS = 500_000;

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

interface LayerRow {
  readonly blob: Digest;
  readonly parent: number;
}

function decodeLayers(value: unknown, facts: LayerFacts): Result<Chains> {
  const rows: LayerRow[] = [];
  for (const row of listOf(value)) {
    const blob =
      isRecord(row) && typeof row['blob'] === 'string' ? parseDigest(row['blob']) : undefined;
    const parent = isRecord(row) ? (row['parent'] ?? 0) : 0;
    if (blob === undefined || typeof parent !== 'number' || !Number.isInteger(parent)) {
      return err(malformed(`layer ${rows.length} needs a blob digest and an integer parent`));
    }
    rows.push({ blob, parent });
  }
  const depths = depthsOf(rows);
  return typeof depths === 'string' ? err(malformed(depths)) : ok(new Chains(rows, facts));
}

/** How many layers each lies on, itself included; or what is wrong with the parents. */
function depthsOf(rows: readonly LayerRow[]): readonly number[] | string {
  const depths = rows.map(() => 0);
  for (const top of rows.keys()) {
    const way: number[] = [];
    let below = 0;
    for (let at = top; at !== -1; ) {
      const row = rows[at];
      if (row === undefined)
        return `layer ${way.at(-1) ?? top} has parent ${at}, which does not exist`;
      below = depths[at] ?? 0;
      if (below > 0) break;
      if (way.length > rows.length) return `layer ${top} is its own ancestor`;
      way.push(at);
      at = row.parent;
    }
    for (const at of way.reverse()) {
      below++;
      if (below > MAX_CHAIN) return `layer ${at} lies on more than ${MAX_CHAIN} others`;
      depths[at] = below;
    }
  }
  return depths;
}

/** The chains of layers whose parents were checked; each is made when a result names it. */
class Chains {
  readonly #rows: readonly LayerRow[];
  readonly #layers: readonly (GraphLayer | undefined)[];
  readonly #made = new Map<number, Chain>();

  constructor(rows: readonly LayerRow[], facts: LayerFacts) {
    this.#rows = rows;
    this.#layers = rows.map(({ blob }) => {
      const fact = facts(blob);
      return fact === undefined ? undefined : { blob, ...fact };
    });
  }

  has(index: number): boolean {
    return index in this.#rows;
  }

  /** The layers up to one, lowest first; undefined when nothing is known of one of them. */
  at(index: number): Chain {
    if (!this.#made.has(index)) this.#made.set(index, this.#make(index));
    return this.#made.get(index);
  }

  #make(top: number): Chain {
    const layers: GraphLayer[] = [];
    for (let at = top; at !== -1; at = this.#rows[at]?.parent ?? -1) {
      const layer = this.#layers[at];
      if (layer === undefined) return undefined;
      layers.push(layer);
    }
    return layers.reverse();
  }
}

function decodeRecords(value: unknown, chains: Chains): Result<CacheGraph> {
  const rows = listOf(value);
  const named = { results: 0, layers: 0, links: 0 };
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
      named.links += Math.max(1, links.length);
      if (named.links > MAX_LINKS)
        return err(malformed(`its records have more than ${MAX_LINKS} links together`));
      inputs.push(links);
    }
    const results = decodeResults(row, chains);
    if (results === undefined)
      return err(malformed(`record ${i} has a result with a layer that does not exist`));
    named.results += results.length;
    for (const { layers } of results) named.layers += layers.length;
    if (results.length > MAX_RESULTS_OF_ONE || named.results > MAX_RESULTS)
      return err(malformed(`record ${i} has more results than a cache may name`));
    if (named.layers > MAX_RESULT_LAYERS)
      return err(malformed(`its results have more than ${MAX_RESULT_LAYERS} layers together`));
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
  chains: Chains,
): GraphResult[] | undefined {
  const results: GraphResult[] = [];
  for (const result of [...listOf(row['layers']), ...listOf(row['chains'])]) {
    if (!isRecord(result)) return undefined;
    // One too many is enough to refuse them.
    if (results.length > MAX_RESULTS_OF_ONE) return results;
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

function chainAt(index: unknown, chains: Chains): Chain | 'missing' {
  return typeof index === 'number' && chains.has(index) ? chains.at(index) : 'missing';
}

/** An explicit list names single layers, not chains: each index stands for its own blob. */
function explicitChain(indexes: readonly unknown[], chains: Chains): Chain | 'missing' {
  const layers: GraphLayer[] = [];
  if (indexes.length > MAX_CHAIN) return 'missing';
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
    const stack: { index: number; next: Iterator<GraphLink> }[] = [];
    const enter = (index: number): boolean => {
      if (state.get(index) === 'open') return true;
      if (state.get(index) === undefined) {
        state.set(index, 'open');
        stack.push({ index, next: (records[index]?.inputs ?? []).flat().values() });
      }
      return false;
    };
    if (enter(root)) return true;
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const link = top.next.next();
      if (link.done === true) {
        state.set(top.index, 'done');
        stack.pop();
      } else if (enter(link.value.record)) return true;
    }
  }
  return false;
}
