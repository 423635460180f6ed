import { GroupSolver, type UnitClass } from './group-solver.ts';

/** Something that layers are made of and that changes as a whole: a package of a list, a directory. */
export interface ChangeUnit {
  readonly id: string;
  /** What it takes to make it again. */
  readonly seconds: number;
  /** Compressed bytes that are sent when it was made again. */
  readonly bytes: number;
}

/** What turns a grouping into one number: the seconds that a build is expected to take. */
export interface GroupingCosts {
  /** For a layer that is made again, however little is in it. */
  readonly perBuiltLayer: number;
  /** For a layer that is found: a look-up in every build. */
  readonly perLayer: number;
  /** To send a byte of a layer and to fetch it. */
  readonly perByte: number;
}

/** What is to be grouped. */
export interface GroupingProblem {
  readonly units: readonly ChangeUnit[];
  /** The units that each build's commit changed; a commit that changed none of them counts too. */
  readonly commits: readonly ReadonlySet<string>[];
  readonly costs: GroupingCosts;
}

/** Units in groups, each of which is one layer. */
export interface Grouping {
  readonly groups: readonly (readonly string[])[];
  /** Expected seconds of a commit's build. */
  readonly cost: number;
}

/** The best groupings that were found. */
export interface Groupings {
  /** The best with at most 1, 2, … groups. */
  readonly best: readonly Grouping[];
  /** No grouping costs less. */
  readonly bound: number;
  /** Nothing better exists; false where the units were too many to try all groupings. */
  readonly exact: boolean;
}

/** Of more classes of units than this not every grouping is tried (3^12 steps). */
export const MAX_EXACT = 12;

/**
 * Expected seconds of a build after a commit, which is one of those of the past: every layer is looked up, and a layer of
 * which a unit changed is made, sent and fetched as a whole.
 */
export function groupingCost(
  { units, commits, costs }: GroupingProblem,
  groups: Grouping['groups'],
): number {
  const unit = new Map(units.map((each) => [each.id, each]));
  const weights = groups.map((ids) =>
    ids.reduce((sum, id) => {
      const { seconds = 0, bytes = 0 } = unit.get(id) ?? {};
      return sum + seconds + bytes * costs.perByte;
    }, costs.perBuiltLayer),
  );
  const made = commits.reduce(
    (total, changed) =>
      total +
      groups.reduce(
        (sum, ids, i) => sum + (ids.some((id) => changed.has(id)) ? (weights[i] ?? 0) : 0),
        0,
      ),
    0,
  );
  return groups.length * costs.perLayer + made / Math.max(1, commits.length);
}

/**
 * Groups units so that a build is expected to take least, for every number of groups up to `most`. Units that changed in
 * the same commits are never parted: putting them together costs nothing. Of up to `MAX_EXACT` such classes the best
 * grouping is found by dynamic programming over sets; of more a good one by merging and moving.
 */
export function groupUnits(
  problem: GroupingProblem,
  most: number,
  { exactUpTo = MAX_EXACT }: { readonly exactUpTo?: number } = {},
): Groupings {
  const classes = classesOf(problem);
  const solver = new GroupSolver(classes, {
    costs: problem.costs,
    commits: problem.commits.length,
  });
  const exact = classes.length <= exactUpTo;
  const count = Math.min(most, classes.length);
  const found = exact ? solver.exact(count) : solver.heuristic(count);
  const best: Grouping[] = [];
  for (const groups of found) {
    const ids = groups.map((group) => group.flatMap((c) => classes[c]?.ids ?? []));
    const grouping = { groups: ids, cost: groupingCost(problem, ids) };
    const before = best.at(-1);
    best.push(before !== undefined && before.cost <= grouping.cost ? before : grouping);
  }
  return { best, bound: solver.bound(), exact };
}

function classesOf({ units, commits, costs }: GroupingProblem): readonly UnitClass[] {
  const classes = new Map<string, { ids: string[]; weight: number; changed: Uint32Array }>();
  for (const { id, seconds, bytes } of units) {
    const changed = new Uint32Array(Math.ceil(commits.length / 32));
    for (const [i, commit] of commits.entries())
      if (commit.has(id)) changed[i >> 5] = (changed[i >> 5] ?? 0) | (1 << (i & 31));
    const key = changed.join(' ');
    const known = classes.get(key) ?? { ids: [], weight: 0, changed };
    known.ids.push(id);
    known.weight += seconds + bytes * costs.perByte;
    classes.set(key, known);
  }
  return [...classes.values()];
}

/**
 * Shares a number of groups among several problems so that the sum of their costs is least: entry `i` is how many groups
 * problem `i` gets. Each gets one at least.
 */
export function shareGroups(all: readonly Groupings[], budget: number): readonly number[] {
  // best[n]: cost and shares of the problems so far with n groups together.
  let best: ReadonlyMap<number, { cost: number; shares: readonly number[] }> = new Map([
    [0, { cost: 0, shares: [] }],
  ]);
  for (const { best: own } of all) {
    const next = new Map<number, { cost: number; shares: readonly number[] }>();
    for (const [used, { cost, shares }] of best)
      own.forEach((grouping, i) => {
        const sum = cost + grouping.cost;
        const total = used + i + 1;
        if (total <= budget && sum < (next.get(total)?.cost ?? Number.POSITIVE_INFINITY))
          next.set(total, { cost: sum, shares: [...shares, i + 1] });
      });
    best = next;
  }
  const [first] = [...best.values()].sort((a, b) => a.cost - b.cost);
  return first?.shares ?? all.map(() => 1);
}
