import { lstatSync } from 'node:fs';
import type { Digest } from '../base/index.ts';
import type { Cost, Entry, EntryKind } from '../gc/index.ts';
import type { LayerRow, ResultRow } from '../ports/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { both, downloading, extracting, running } from './estimate.ts';
import { type Facts, holdsOn, pinText, short } from './facts.ts';
import type { ImageFact } from './image-facts.ts';

/** Which forms of each layer are on this machine. */
export interface Forms {
  /** Directories of extracted layers, by layer id. */
  readonly dirs: ReadonlyMap<string, readonly string[]>;
  /** Sizes of blobs. */
  readonly blobs: ReadonlyMap<Digest, number>;
}

/** How often, and when last, a layer or one above it answered for a step. */
export interface LayerUse {
  uses: number;
  usedAt: number;
  /** Number of results that need the layer. */
  results: number;
}

/** Uses of every layer: a hit on a result uses all layers below it. */
export function layerUses(facts: Facts): ReadonlyMap<string, LayerUse> {
  const uses = new Map<string, LayerUse>();
  const byChain = new Map<number, LayerUse>();
  const empty = (): LayerUse => ({ uses: 0, usedAt: 0, results: 0 });
  for (const result of facts.results) {
    const use = byChain.get(result.chain) ?? empty();
    byChain.set(result.chain, add(use, { ...result, results: 1 }));
  }
  // A node has a higher number than the one it stands on: every node is complete before it is added to its parent.
  for (const { id, parent, layer } of [...facts.chains.values()].sort((a, b) => b.id - a.id)) {
    const use = byChain.get(id) ?? empty();
    uses.set(layer, add(uses.get(layer) ?? empty(), use));
    if (parent !== 0) byChain.set(parent, add(byChain.get(parent) ?? empty(), use));
  }
  return uses;
}

function add(to: LayerUse, from: LayerUse): LayerUse {
  return {
    uses: to.uses + from.uses,
    usedAt: Math.max(to.usedAt, from.usedAt),
    results: to.results + from.results,
  };
}

/** The forms of the layers directly below a layer, wherever it stands in a chain. */
export class Parents {
  readonly #below: ReadonlyMap<string, ReadonlySet<number>>;
  readonly #facts: Facts;
  readonly #forms: Forms;

  constructor(facts: Facts, forms: Forms) {
    const below = new Map<string, Set<number>>();
    for (const { parent, layer } of facts.chains.values())
      below.set(layer, (below.get(layer) ?? new Set()).add(parent));
    this.#below = below;
    this.#facts = facts;
    this.#forms = forms;
  }

  /**
   * Entries that a form of `layer` is of no use without. An extracted layer stands on extracted ones; a packed one on packed
   * ones, since those are enough to have the chain again.
   */
  of(layer: string, form: 'extracted' | 'packed'): string[] {
    const found = new Set<string>();
    const seen = new Set<number>();
    const todo = [...(this.#below.get(layer) ?? [])];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      const node = at === 0 || seen.has(at) ? undefined : this.#facts.chains.get(at);
      if (node === undefined) continue;
      seen.add(at);
      const extracted = this.#forms.dirs.has(node.layer) ? [`layer:${node.layer}`] : [];
      const packed = blobsHere(this.#facts.layers.get(node.layer), this.#forms);
      const [first, second] =
        form === 'extracted' ? [extracted, packed.map(blobId)] : [packed.map(blobId), extracted];
      const here = first.length > 0 ? first : second;
      for (const id of here) found.add(id);
      // Nothing of it is here: what is above it leans on what is below it.
      if (here.length === 0) todo.push(node.parent);
    }
    return [...found].sort();
  }
}

const blobId = (digest: Digest): string => `blob:${digest}`;

/** Entries for extracted layers. */
export function layerEntries(
  facts: Facts,
  forms: Forms,
  shared: { readonly parents: Parents; readonly uses: ReadonlyMap<string, LayerUse> },
): Entry[] {
  const timesOf = ([id, dirs]: readonly [string, readonly string[]]) => {
    const row = facts.layers.get(id);
    const createdAt = row?.createdAt ?? bornAt(dirs) ?? facts.now;
    const { usedAt = 0 } = shared.uses.get(id) ?? {};
    return { id, dirs, createdAt, usedAt: Math.max(usedAt, row?.usedAt ?? 0, createdAt) };
  };
  const all = [...forms.dirs].map(timesOf);
  // Files of several layers count with the one that was used last: removing an older one frees what it has alone.
  const sizes = new Map(
    all
      .toSorted((a, b) => b.usedAt - a.usedAt || b.createdAt - a.createdAt)
      .map(({ id, dirs }) => [id, facts.sizes.stamped(`layer:${id}`, layerStamp(dirs), dirs)]),
  );
  return all.map(({ id, dirs, createdAt, usedAt }) => {
    const row = facts.layers.get(id);
    const entryId = `layer:${id}`;
    const size = sizes.get(id) ?? { bytes: 0, shared: 0 };
    const made = makerOf(facts, id, row);
    const use = shared.uses.get(id) ?? { uses: 0, usedAt: 0, results: 0 };
    const twins = blobsHere(row, forms).map(blobId);
    const lastCost = costOfLosing(facts, id, size.bytes);
    return {
      id: entryId,
      kind: made.kind,
      label: made.label,
      ...size,
      createdAt,
      usedAt,
      uses: use.uses,
      madeBy: made.madeBy,
      usedBy: usersOf(facts, id, row, use),
      holds: [...holdsOn(facts, entryId), ...pinsAbove(facts, id, row)],
      parents: shared.parents.of(id, 'extracted'),
      twins,
      cost: twins.length > 0 ? extracting(size.bytes) : lastCost,
      lastCost,
      formsOf: [{ layer: id, elsewhere: row?.origin !== undefined, twins }],
      paths: dirs,
    };
  });
}

/** What changes when a directory of the layer is another one, or something was added beside its files. */
export function layerStamp(dirs: readonly string[]): string {
  // Sizes that were remembered without this mark may count files of other layers.
  return `own ${dirs
    .map((dir) => lstatSync(dir, { throwIfNoEntry: false }))
    .map((stat) => `${stat?.ino ?? 0}:${stat?.mtimeMs ?? 0}`)
    .join(' ')}`;
}

function bornAt([dir = '']: readonly string[]): number | undefined {
  return lstatSync(dir, { throwIfNoEntry: false })?.mtimeMs;
}

/** Digests of compressed forms that are on this machine. */
export function blobsHere(row: LayerRow | undefined, forms: Forms): Digest[] {
  return (row?.blobs ?? []).map((b) => b.digest).filter((digest) => forms.blobs.has(digest));
}

/** What it takes to have a layer again of which nothing is left here. */
export function costOfLosing(facts: Facts, id: string, bytes: number): Cost {
  const row = facts.layers.get(id);
  if (row?.origin !== undefined)
    return both(downloading(row.blobs[0]?.size ?? bytes), extracting(bytes));
  const results = facts.resultsOf.get(id) ?? [];
  return running(Math.max(0, ...results.map((result) => result.costMs)));
}

interface Maker {
  readonly kind: EntryKind;
  readonly label: string;
  readonly madeBy: Entry['madeBy'];
}

/** Who made a layer, by its results and the history. */
export function makerOf(facts: Facts, id: string, row: LayerRow | undefined): Maker {
  const results = facts.resultsOf.get(id) ?? [];
  const step = firstOf(results, facts);
  if (row?.origin !== undefined) {
    const from = row.origin.replace(/^(?:docker-image|oci-layout):\/\//, '');
    return { kind: 'layer', label: `layer of ${from}`, madeBy: { from } };
  }
  if (step !== undefined) {
    return {
      kind: kindOfStep(step.name),
      label: step.name.replaceAll(/\s+/g, ' '),
      madeBy: { build: step.build, step: step.name },
    };
  }
  const [image] = imagesOf(facts, row);
  if (image !== undefined)
    return { kind: 'layer', label: `layer of ${image.familiar}`, madeBy: {} };
  if (results.length > 0)
    return {
      kind: 'layer',
      label: `layer ${short(id)} of a step that the history does not name`,
      madeBy: {},
    };
  return { kind: 'source', label: 'copy of a build context', madeBy: {} };
}

function imagesOf(facts: Facts, row: LayerRow | undefined): readonly ImageFact[] {
  return row?.diffId === undefined ? [] : (facts.imagesWith.get(row.diffId) ?? []);
}

function firstOf(results: readonly ResultRow[], facts: Facts) {
  for (const result of [...results].sort((a, b) => a.createdAt - b.createdAt)) {
    const step = facts.makers.of(result);
    if (step !== undefined) return step;
  }
  return undefined;
}

/** Sources and root file systems by the display names that front ends give their steps. */
function kindOfStep(name: string): EntryKind {
  if (/^\[context [^\]]*\] compose /.test(name)) return 'rootfs';
  return name.startsWith('[') && !/^\[[^\]]*\] (?:http|https|git):/.test(name) ? 'layer' : 'source';
}

function usersOf(facts: Facts, id: string, row: LayerRow | undefined, use: LayerUse): string[] {
  const images = imagesOf(facts, row).map((image) => `image ${image.familiar}`);
  const own = facts.resultsOf.get(id)?.length ?? 0;
  const above = use.results - own;
  return [
    ...images,
    ...(own > 0 ? [`${own} cache record${own === 1 ? '' : 's'}`] : []),
    ...(above > 0 ? [`${above} cache record${above === 1 ? '' : 's'} of steps above it`] : []),
  ];
}

/** A pinned image keeps the layers of its cache, a pinned build those of its steps. */
function pinsAbove(facts: Facts, id: string, row: LayerRow | undefined): Entry['holds'] {
  const holds: Entry['holds'][number][] = [];
  for (const image of imagesOf(facts, row)) {
    const pin = facts.pins.get(`image:${image.row.name}`);
    if (pin !== undefined)
      holds.push({ by: 'pin', text: `image ${image.familiar} is ${pinText(pin)}` });
  }
  for (const build of facts.buildPins.get(id) ?? []) holds.push({ by: 'pin', text: build });
  return holds;
}

/** Directories of whole layers, by id. */
export async function layerDirs(deps: UpkeepDeps): Promise<ReadonlyMap<string, readonly string[]>> {
  const dirs = new Map<string, string[]>();
  for await (const { dir, id } of deps.layers.directories())
    dirs.set(id, [...(dirs.get(id) ?? []), dir]);
  return dirs;
}
