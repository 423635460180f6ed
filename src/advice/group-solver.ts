import type { GroupingCosts } from './group-units.ts';

/** Units that always change together. */
export interface UnitClass {
  readonly ids: readonly string[];
  readonly weight: number;
  /** Numbers of the commits, as bits. */
  readonly changed: Uint32Array;
}

/** Groups of classes, by their numbers. */
export type Groups = readonly (readonly number[])[];

/** Gains below this are rounding. */
const EPSILON = 1e-9;

/** Finds the best ways to group classes of units. */
export class GroupSolver {
  readonly #classes: readonly UnitClass[];
  readonly #costs: GroupingCosts;
  readonly #commits: number;

  constructor(
    classes: readonly UnitClass[],
    { costs, commits }: { readonly costs: GroupingCosts; readonly commits: number },
  ) {
    this.#classes = classes;
    this.#costs = costs;
    this.#commits = Math.max(1, commits);
  }

  /** Every unit is made when it changes itself, and one layer at least when anything changes. */
  bound(): number {
    const own = this.#classes.reduce(
      (sum, { weight, changed }) => sum + weight * bitsOf(changed),
      0,
    );
    const any = bitsOf(this.#union(this.#classes.map((_, i) => i)));
    return this.#costs.perLayer + (own + any * this.#costs.perBuiltLayer) / this.#commits;
  }

  /** For each number of groups up to `most`: the best of all partitions into exactly that many. */
  exact(most: number): readonly Groups[] {
    const full = (1 << this.#classes.length) - 1;
    const costs = new Float64Array(full + 1);
    for (let set = 1; set <= full; set++) costs[set] = this.#cost(membersOf(set));
    let before = new Float64Array(full + 1).fill(Number.POSITIVE_INFINITY);
    before[0] = 0;
    const chosen: Int32Array[] = [];
    for (let k = 0; k < most; k++) {
      const now = new Float64Array(full + 1).fill(Number.POSITIVE_INFINITY);
      const choice = new Int32Array(full + 1);
      for (let set = 1; set <= full; set++) {
        const low = set & -set;
        // The group with the lowest class, so that each partition is met once.
        for (let rest = set ^ low, sub = rest; ; sub = (sub - 1) & rest) {
          const group = sub | low;
          const cost = (costs[group] ?? 0) + (before[set ^ group] ?? 0);
          if (cost < (now[set] ?? 0)) [now[set], choice[set]] = [cost, group];
          if (sub === 0) break;
        }
      }
      chosen.push(choice);
      before = now;
    }
    return chosen.map((_, k) => {
      const groups: number[][] = [];
      let set = full;
      for (let i = k; i >= 0; i--) {
        const group = chosen[i]?.[set] ?? 0;
        groups.push(membersOf(group));
        set ^= group;
      }
      return groups;
    });
  }

  /**
   * The best of two beginnings, each improved by moving classes: merging the two groups that lose least until one is left,
   * and cutting the classes into runs in the order of how often they change.
   */
  heuristic(most: number): readonly Groups[] {
    const found: (readonly number[][])[] = this.#runs(most).map((groups) => this.#improved(groups));
    for (let groups = this.#classes.map((_, i) => [i]); ; groups = this.#merged(groups)) {
      const at = groups.length - 1;
      if (at < most) {
        const other = this.#improved(groups);
        if (this.#total(other) < this.#total(found[at] ?? [])) found[at] = other;
      }
      if (groups.length === 1) return found;
    }
  }

  /** For each number of groups the best way to cut the classes into runs (dynamic programming). */
  #runs(most: number): readonly number[][][] {
    const order = this.#classes
      .map(({ changed }, i) => [bitsOf(changed), i] as const)
      .sort(([a], [b]) => b - a)
      .map(([, i]) => i);
    let before: readonly { cost: number; groups: number[][] }[] = order.map((_, end) => {
      const group = order.slice(0, end + 1);
      return { cost: this.#cost(group), groups: [group] };
    });
    const found: number[][][] = [];
    for (let k = 1; k <= most; k++) {
      found.push(before.at(-1)?.groups ?? []);
      before = order.map((_, end) => {
        let best = before[end] ?? { cost: 0, groups: [] };
        for (let cut = k - 1; cut < end; cut++) {
          const group = order.slice(cut + 1, end + 1);
          const cost = (before[cut]?.cost ?? 0) + this.#cost(group);
          if (cost < best.cost) best = { cost, groups: [...(before[cut]?.groups ?? []), group] };
        }
        return best;
      });
    }
    return found;
  }

  #total(groups: Groups): number {
    return groups.reduce((sum, group) => sum + this.#cost(group), 0);
  }

  #merged(groups: readonly number[][]): number[][] {
    const alone = groups.map((group) => this.#cost(group));
    let best: readonly [number, number, number] = [0, 1, Number.POSITIVE_INFINITY];
    for (const [i, a] of groups.entries())
      for (let j = i + 1; j < groups.length; j++) {
        const loss = this.#cost([...a, ...(groups[j] ?? [])]) - (alone[i] ?? 0) - (alone[j] ?? 0);
        if (loss < best[2]) best = [i, j, loss];
      }
    const [i, j] = best;
    const both = [...(groups[i] ?? []), ...(groups[j] ?? [])];
    return [...groups.filter((_, at) => at !== i && at !== j), both];
  }

  /** Moves and swaps single classes as long as that is cheaper. */
  #improved(from: readonly number[][]): number[][] {
    let groups = from.map((group) => [...group]);
    const most = from.length;
    for (;;) {
      const better = this.#moved(groups, most) ?? this.#swapped(groups);
      if (better === undefined) return groups;
      groups = better;
    }
  }

  #moved(groups: readonly number[][], most: number): number[][] | undefined {
    for (const [home, from] of groups.entries())
      for (const c of from) {
        const without = from.filter((other) => other !== c);
        const gain = this.#cost(from) - this.#cost(without);
        for (let at = 0; at < groups.length + (groups.length < most ? 1 : 0); at++) {
          const there = groups[at] ?? [];
          if (at === home || this.#cost([...there, c]) - this.#cost(there) >= gain - EPSILON)
            continue;
          return [...groups, []]
            .map((group, i) => (i === home ? without : i === at ? [...there, c] : group))
            .filter((group) => group.length > 0);
        }
      }
    return undefined;
  }

  #swapped(groups: readonly number[][]): number[][] | undefined {
    for (const [i, a] of groups.entries())
      for (const [j, b] of groups.entries()) {
        if (j <= i) continue;
        const now = this.#cost(a) + this.#cost(b) - EPSILON;
        for (const x of a)
          for (const y of b) {
            const [one, other] = [a.map((c) => (c === x ? y : c)), b.map((c) => (c === y ? x : c))];
            if (this.#cost(one) + this.#cost(other) < now)
              return groups.map((group, at) => (at === i ? one : at === j ? other : group));
          }
      }
    return undefined;
  }

  #cost(group: readonly number[]): number {
    if (group.length === 0) return 0;
    const weight = group.reduce(
      (sum, c) => sum + (this.#classes[c]?.weight ?? 0),
      this.#costs.perBuiltLayer,
    );
    return this.#costs.perLayer + (weight * bitsOf(this.#union(group))) / this.#commits;
  }

  #union(group: readonly number[]): Uint32Array {
    const all = new Uint32Array(Math.ceil(this.#commits / 32));
    for (const c of group)
      for (const [i, word] of (this.#classes[c]?.changed ?? []).entries())
        all[i] = (all[i] ?? 0) | word;
    return all;
  }
}

function membersOf(set: number): number[] {
  const members: number[] = [];
  for (let i = 0; set >> i !== 0; i++) if (((set >> i) & 1) === 1) members.push(i);
  return members;
}

function bitsOf(words: Uint32Array): number {
  let count = 0;
  for (let word of words) for (; word !== 0; word &= word - 1) count++;
  return count;
}
