import {
  type ChangeUnit,
  type Grouping,
  type GroupingCosts,
  type GroupingProblem,
  type Groupings,
  groupingCost,
  groupUnits,
  shareGroups,
} from '../advice/index.ts';
import { itemName, listItems, type PoolPiece, piecesOf, type SplitPool } from '../project/index.ts';
import type { Commit } from './commit-replay.ts';

/** What is known of a layer that was built. */
export interface BuiltFacts {
  readonly layer: string;
  /** Compressed. */
  readonly bytes: number;
  readonly seconds: number;
  /** Path and size of its files. */
  readonly files: readonly (readonly [path: string, bytes: number])[];
}

/** What advice on layers is made from. */
export interface LayerHistory {
  /** Oldest first. */
  readonly commits: readonly Commit[];
  /** The text of a list by its id in a commit. */
  readonly textOf: (id: string) => string;
  readonly built: readonly BuiltFacts[];
  readonly costs: GroupingCosts;
}

/** A unit of a pool with what it costs and how often it changed. */
export interface MeasuredUnit extends ChangeUnit {
  readonly changes: number;
}

/** Advice on one pool. */
export interface PoolAdvice {
  readonly pool: SplitPool;
  readonly units: readonly MeasuredUnit[];
  /** Commits that changed anything of it. */
  readonly changed: number;
  /** Expected seconds of a commit's build for the layers of this pool. */
  readonly now: number;
  readonly best: Grouping;
  /** No grouping costs less. */
  readonly bound: number;
  readonly exact: boolean;
  /** Empty where the layers are best as they are. */
  readonly pieces: readonly PoolPiece[];
}

/** What every commit changed of a pool; the first commit is what the others are compared with. */
export function changesOf(
  pool: SplitPool,
  commits: readonly Commit[],
  textOf: (id: string) => string,
): readonly ReadonlySet<string>[] {
  const states = commits.map((commit) => stateOf(pool, commit, textOf));
  return states.slice(1).map((state, i) => {
    const before = states[i];
    const changed = pool.units.filter(({ id }) => state.get(id) !== before?.get(id));
    return new Set(changed.map(({ id }) => id));
  });
}

/** What each unit was in a commit: the lines of a package, or the files of a copy. */
function stateOf(
  pool: SplitPool,
  { files }: Commit,
  textOf: (id: string) => string,
): ReadonlyMap<string, string> {
  const lists = new Map<string, ReadonlyMap<string, string>>();
  const itemsOf = (path: string): ReadonlyMap<string, string> => {
    const known = lists.get(path);
    if (known !== undefined) return known;
    const id = files.get(path)?.split(' ')[1];
    const items = listItems(id === undefined ? '' : textOf(id));
    lists.set(path, items);
    return items;
  };
  return new Map(
    pool.units.map(({ id, of }) => {
      if (of.kind === 'item') return [id, itemsOf(of.list).get(of.item) ?? ''];
      const inside = [...files].filter(
        ([path]) => of.from === '' || path === of.from || path.startsWith(`${of.from}/`),
      );
      return [id, inside.map((file) => file.join(' ')).join('\n')];
    }),
  );
}

/** Advice on pools of layers that were built; `budget` is how many layers they may become together. */
export function adviseLayers(
  pools: readonly SplitPool[],
  history: LayerHistory,
  { budget, taken }: { readonly budget: number; readonly taken: ReadonlySet<string> },
): readonly PoolAdvice[] {
  const problems = pools.map((pool) => problemOf(pool, history));
  const all = problems.map((problem) => groupUnits(problem, budget));
  const shares = shareGroups(all, budget);
  return pools.flatMap((pool, i) => {
    const [problem, found] = [problems[i], all[i]];
    if (problem === undefined || found === undefined) return [];
    return [advice(pool, { problem, found, share: shares[i] ?? 1, taken })];
  });
}

function problemOf(pool: SplitPool, history: LayerHistory): GroupingProblem {
  return {
    units: costsOf(pool, history),
    commits: changesOf(pool, history.commits, history.textOf),
    costs: history.costs,
  };
}

interface Solved {
  readonly problem: GroupingProblem;
  readonly found: Groupings;
  readonly share: number;
  readonly taken: ReadonlySet<string>;
}

/** Less than this is no reason to change a project. */
const LEAST_GAIN = 0.01;

function advice(pool: SplitPool, { problem, found, share, taken }: Solved): PoolAdvice {
  const { commits, units } = problem;
  const rate = (ids: readonly string[]): number =>
    commits.filter((changed) => ids.some((id) => changed.has(id))).length;
  const groupsNow = pool.layers.map(({ name }) =>
    pool.units.filter(({ layer }) => layer === name).map(({ id }) => id),
  );
  const now = groupingCost(problem, groupsNow);
  const best = found.best[share - 1] ?? { groups: groupsNow, cost: now };
  const gains = best.cost < now * (1 - LEAST_GAIN);
  return {
    pool,
    units: units.map((unit) => ({ ...unit, changes: rate([unit.id]) })),
    changed: rate(units.map(({ id }) => id)),
    now,
    best: gains ? best : { groups: groupsNow, cost: now },
    bound: found.bound,
    exact: found.exact,
    pieces: gains ? piecesOf(pool, best.groups, { rate, taken }) : [],
  };
}

/** Time and bytes of each unit: its part of those of its layer, by the files that have its name. */
function costsOf(pool: SplitPool, { built, costs }: LayerHistory): readonly ChangeUnit[] {
  return pool.layers.flatMap((layer) => {
    const units = pool.units.filter((unit) => unit.layer === layer.name);
    const facts = built.find((each) => each.layer === layer.name);
    if (facts === undefined) return units.map(({ id }) => ({ id, seconds: 0, bytes: 0 }));
    const shares = sharesOf(units, layer, facts.files);
    const own = Math.max(0, facts.seconds - costs.perBuiltLayer);
    return units.map(({ id }, i) => ({
      id,
      seconds: own * (shares[i] ?? 0),
      bytes: facts.bytes * (shares[i] ?? 0),
    }));
  });
}

/** Parts of one, a unit each. What belongs to none of them counts to all of them alike. */
function sharesOf(
  units: SplitPool['units'],
  layer: SplitPool['layers'][number],
  files: BuiltFacts['files'],
): readonly number[] {
  const sizes = units.map(() => 0);
  let nobody = 0;
  for (const [path, bytes] of files) {
    const at = ownerOf(units, layer, path);
    if (at === -1) nobody += bytes;
    else sizes[at] = (sizes[at] ?? 0) + bytes;
  }
  const total = sizes.reduce((sum, size) => sum + size, nobody);
  return sizes.map((size) =>
    total === 0 ? 1 / units.length : (size + nobody / units.length) / total,
  );
}

/** The unit with the longest name that a part of the path begins with; of copies the one with the deepest destination. */
function ownerOf(
  units: SplitPool['units'],
  { recipe }: SplitPool['layers'][number],
  path: string,
): number {
  const parts = path.split('/').map((part) => itemName(part.replace(/^[-@]+/, '')) ?? '');
  const steps = recipe.kind === 'steps' ? recipe.steps : [];
  let owner = -1;
  let longest = 0;
  for (const [i, { of }] of units.entries()) {
    const step = of.kind === 'copy' ? steps[of.step] : undefined;
    const name = of.kind === 'item' ? of.item : step?.kind === 'copy' ? step.to : '';
    const owns =
      of.kind === 'item'
        ? parts.some((part) => part === name || part.startsWith(`${name}-`))
        : path === name || path.startsWith(name.endsWith('/') ? name : `${name}/`);
    if (owns && name.length > longest) [owner, longest] = [i, name.length];
  }
  return owner;
}
