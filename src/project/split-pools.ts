import { byCodeUnit } from '../base/index.ts';
import { itemName, type LayerList } from './lists.ts';
import type { LayerSpec, LayerStep, Project } from './project.ts';

/** One thing that a pool's layers are made of: a package of a list, or a copy. */
export interface PoolUnit {
  readonly id: string;
  /** The layer that has it now. */
  readonly layer: string;
  /** For people. */
  readonly name: string;
  readonly of:
    | { readonly kind: 'item'; readonly list: string; readonly item: string }
    | { readonly kind: 'copy'; readonly step: number; readonly from: string };
}

/** Layers with one recipe, which does the same with each unit: their units may be put into layers in any way. */
export interface SplitPool {
  readonly layers: readonly LayerSpec[];
  readonly units: readonly PoolUnit[];
}

/** What of a project can be put into other layers, and why the rest cannot. */
export interface SplitPools {
  readonly pools: readonly SplitPool[];
  readonly kept: ReadonlyMap<string, string>;
}

/**
 * The layers of a project that may be parted or joined. `items` are the packages of a list as it is now. A recipe that
 * reads files by commands is left alone, for what each command reads is not declared.
 */
export function splitPools(
  project: Pick<Project, 'layers' | 'images'>,
  items: (list: string) => readonly string[],
): SplitPools {
  const kept = new Map<string, string>();
  const pools = new Map<string, { layers: LayerSpec[]; units: PoolUnit[] }>();
  for (const layer of project.layers.values()) {
    const used = [...project.layers.values()].some(({ uses }) => uses.includes(layer.name));
    const units = used ? 'is copied from under its name' : unitsOf(layer, items);
    if (typeof units === 'string') {
      kept.set(layer.name, units);
      continue;
    }
    // Layers that are not always mentioned together cannot be joined, and copies of one layer are no part of another's.
    const key = layer.lists.length === 0 ? layer.name : poolKey(project, layer);
    const pool = pools.get(key) ?? { layers: [], units: [] };
    pool.layers.push(layer);
    pool.units.push(...units);
    pools.set(key, pool);
  }
  for (const [key, { layers, units }] of pools)
    if (units.length < 2) {
      pools.delete(key);
      for (const { name } of layers) kept.set(name, 'has one part only');
    }
  return { pools: [...pools.values()], kept };
}

/** The units of a layer, or why it cannot be parted. */
function unitsOf(
  layer: LayerSpec,
  items: (list: string) => readonly string[],
): readonly PoolUnit[] | string {
  const { recipe, lists, files, name } = layer;
  const steps = recipe.kind === 'steps' ? recipe.steps : [];
  if (steps.some((step) => step.kind === 'env' && Object.values(step.env).join('').includes('$')))
    return 'sets a variable to a value that has another one in it';
  if (lists.length > 0 && files.length > 0) return 'is made from lists and files';
  if (lists.length > 0) {
    if (recipe.kind === 'template' || recipe.kind === 'packages')
      return 'is a whole root file system';
    return lists.flatMap((list) =>
      selected(list, items(list.path)).map((item) => ({
        ...{ id: `${list.path} ${item}`, layer: name, name: item },
        of: { kind: 'item' as const, list: list.path, item },
      })),
    );
  }
  if (files.length === 0) return 'has no lists and no files';
  if (recipe.kind !== 'steps' || steps.some(({ kind }) => kind === 'run'))
    return 'has commands: which files each reads is not declared';
  const copies = steps.flatMap((step, i) => (step.kind === 'copy' ? [{ step, i }] : []));
  if (copies.some(({ step }) => /[*?[\\]/.test(step.from))) return 'copies patterns';
  return copies.map(({ step, i }) => ({
    ...{ id: `${name} ${i}`, layer: name, name: `${step.from} to ${step.to}` },
    of: { kind: 'copy' as const, step: i, from: plainPath(step.from) },
  }));
}

const selected = ({ only, except }: LayerList, items: readonly string[]): readonly string[] => {
  const wanted = only === undefined ? undefined : new Set(only.map(itemName));
  const others = new Set(except?.map(itemName));
  return items.filter((item) => wanted?.has(item) !== false && !others.has(item));
};

/** A path without what does not change its meaning. */
export const plainPath = (path: string): string =>
  path.replace(/^(?:\.?\/)+/, '').replace(/\/+\.?$/, '');

/** For JSON.stringify: where something is written is no part of what it says. */
export const withoutSpans = (key: string, value: unknown): unknown =>
  key === 'span' ? undefined : value;

/** What has to be equal so that units may move from one layer to the other. */
function poolKey({ layers, images }: Pick<Project, 'layers' | 'images'>, layer: LayerSpec): string {
  const { name, lists: _lists, span: _span, changes: _changes, ...rest } = layer;
  const users = [
    ...[...layers.values()].flatMap(({ name: user, needs }) =>
      needs.includes(name) ? [`needs ${user}`] : [],
    ),
    ...[...images.values()].flatMap(({ name: user, layers: own }) =>
      own.includes(name) ? [`image ${user}`] : [],
    ),
  ];
  return JSON.stringify([rest, users.sort(byCodeUnit)], withoutSpans);
}

/** One layer of a pool that was put together anew. */
export interface PoolPiece {
  readonly name: string;
  /** The layer that it is a copy of but for its inputs. */
  readonly from: string;
  readonly units: readonly string[];
  readonly lists: readonly LayerList[];
  /** Numbers of the steps of `from` that it has; all where nothing is copied. */
  readonly steps?: readonly number[];
  readonly files?: readonly string[];
}

/**
 * The layers that groups of units become. `rate` says how often a group changes: of each list, the group that changes most
 * gets the names that are new.
 */
export function piecesOf(
  pool: SplitPool,
  groups: readonly (readonly string[])[],
  {
    rate,
    taken,
  }: { readonly rate: (ids: readonly string[]) => number; readonly taken: ReadonlySet<string> },
): readonly PoolPiece[] {
  const units = new Map(pool.units.map((unit) => [unit.id, unit]));
  const steady = [...groups].sort((a, b) => rate(a) - rate(b));
  const owners = listOwners(pool, steady);
  const names = namesOf(pool, steady, taken);
  return steady.map((ids, i) => {
    const own = ids.flatMap((id) => units.get(id) ?? []);
    const { name, from } = names[i] ?? { name: '', from: '' };
    const copies = own.flatMap(({ of }) => (of.kind === 'copy' ? [of] : []));
    const piece = { name, from, units: ids, lists: listsOf(pool, own, owners.get(i) ?? new Set()) };
    if (copies.length === 0) return piece;
    const files = [...new Set(copies.map((copy) => copy.from))].sort(byCodeUnit);
    return {
      ...piece,
      files,
      steps: stepsOf(
        pool,
        copies.map(({ step }) => step),
      ),
    };
  });
}

/** The last group, which changes most, of those that have lines of a list owns it. */
function listOwners(
  pool: SplitPool,
  groups: readonly (readonly string[])[],
): ReadonlyMap<number, ReadonlySet<string>> {
  const owner = new Map<string, number>();
  const units = new Map(pool.units.map((unit) => [unit.id, unit]));
  groups.forEach((ids, i) => {
    for (const id of ids) {
      const of = units.get(id)?.of;
      if (of?.kind === 'item') owner.set(of.list, i);
    }
  });
  const owned = new Map<number, Set<string>>();
  for (const [list, i] of owner) owned.set(i, (owned.get(i) ?? new Set()).add(list));
  return owned;
}

function listsOf(
  pool: SplitPool,
  own: readonly PoolUnit[],
  owned: ReadonlySet<string>,
): readonly LayerList[] {
  const lists = [...new Set(pool.layers.flatMap((layer) => layer.lists.map(({ path }) => path)))];
  const itemsOf = (units: readonly PoolUnit[], path: string): readonly string[] =>
    units
      .flatMap(({ of }) => (of.kind === 'item' && of.list === path ? [of.item] : []))
      .sort(byCodeUnit);
  return lists.flatMap((path): readonly LayerList[] => {
    const mine = itemsOf(own, path);
    const others = itemsOf(pool.units, path).filter((item) => !mine.includes(item));
    if (!owned.has(path)) return mine.length === 0 ? [] : [{ path, only: mine }];
    return others.length === 0 ? [{ path }] : [{ path, except: others }];
  });
}

/** The steps of a piece: its copies, and what sets variables. */
function stepsOf({ layers }: SplitPool, copies: readonly number[]): readonly number[] {
  const recipe = layers[0]?.recipe;
  const steps: readonly LayerStep[] = recipe?.kind === 'steps' ? recipe.steps : [];
  return steps.flatMap(({ kind }, i) => (kind !== 'copy' || copies.includes(i) ? [i] : []));
}

/** Each layer keeps its name for the group that has most of its units; the others are called after the layer they come from. */
function namesOf(
  pool: SplitPool,
  groups: readonly (readonly string[])[],
  taken: ReadonlySet<string>,
): readonly { readonly name: string; readonly from: string }[] {
  const layerOf = new Map(pool.units.map(({ id, layer }) => [id, layer]));
  const shared = (ids: readonly string[], layer: string): number =>
    ids.filter((id) => layerOf.get(id) === layer).length;
  const pairs = groups
    .flatMap((ids, i) => pool.layers.map(({ name }) => ({ i, name, count: shared(ids, name) })))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count || a.i - b.i || byCodeUnit(a.name, b.name));
  const named = new Map<number, string>();
  const used = new Set<string>();
  for (const { i, name } of pairs) {
    if (named.has(i) || used.has(name)) continue;
    named.set(i, name);
    used.add(name);
  }
  const all = new Set([...taken, ...pool.layers.map(({ name }) => name)]);
  return groups.map((ids, i) => {
    const own = named.get(i);
    if (own !== undefined) return { name: own, from: own };
    const from = layerOf.get(ids[0] ?? '') ?? pool.layers[0]?.name ?? '';
    let number = 2;
    while (all.has(`${from}-${number}`)) number++;
    all.add(`${from}-${number}`);
    return { name: `${from}-${number}`, from };
  });
}
