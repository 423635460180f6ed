import { type Dependency, dependencyText } from './dependency.ts';
import { conditionsAgainst, conditionsOf, isConditional } from './formula.ts';
import type { Pool, PoolPackage } from './pool.ts';

/** Why a clause must hold. */
export type RuleKind =
  | 'asked'
  | 'requires'
  | 'missing'
  | 'conflicts'
  | 'obsoletes'
  | 'same-name'
  | 'inferior';

/** A clause over packages, and what it is for. */
export interface Rule {
  readonly literals: readonly number[];
  readonly kind: RuleKind;
  /** The package whose rule it is; undefined for what is asked for. */
  readonly owner: number | undefined;
  /** The dependency as it is written, or what was asked for. */
  readonly text: string;
}

/** The rules of a choice: those of packages, then what is asked for, then what architectures exclude. */
export interface RuleSet {
  readonly rules: readonly Rule[];
  /** Where the rules of packages end and what is asked for begins. */
  readonly firstAsked: number;
  readonly afterAsked: number;
}

/** Something to be installed: one of these packages. */
export interface Wish {
  readonly text: string;
  readonly candidates: readonly number[];
}

/**
 * The rules of all packages that the wishes can lead to: requires and conflicts of packages, what one obsoletes, and that only
 * one version of a name is installed. Equal rules are kept once, in an order that depends on nothing but the packages.
 */
export function makeRules(pool: Pool, wishes: readonly Wish[]): RuleSet {
  const maker = new Maker(pool);
  for (const wish of wishes) maker.visit(wish.candidates);
  const packages = distinct(maker.run());
  const asked = wishes.map(
    (wish): Rule => ({
      literals: wish.candidates,
      kind: 'asked',
      owner: undefined,
      text: wish.text,
    }),
  );
  return {
    rules: [...packages, ...asked, ...inferior(pool, maker.visited)],
    firstAsked: packages.length,
    afterAsked: packages.length + asked.length,
  };
}

class Maker {
  readonly visited = new Set<number>();
  readonly #pool: Pool;
  readonly #rules: Rule[] = [];

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  visit(ids: readonly number[]): void {
    for (const id of ids) this.visited.add(id);
  }

  run(): readonly Rule[] {
    // The set grows while it is walked: a Set's iterator visits what is added behind it.
    for (const id of this.#reachable()) {
      const of = this.#pool.package(id);
      for (const dependency of this.#pool.list(of, 'requires')) this.#requires(id, dependency);
      for (const dependency of this.#pool.list(of, 'conflicts')) this.#conflicts(id, dependency);
      for (const { id: other, text } of this.#pool.obsoletedBy(of))
        this.#add('obsoletes', id, [-id, -other], text);
      for (const other of this.#pool.named(of.record.name))
        if (other.id > id) this.#add('same-name', id, [-id, -other.id], of.record.name);
        else if (other.id < id && !this.visited.has(other.id))
          this.#add('same-name', id, [-id, -other.id], of.record.name);
      for (const list of ['recommends', 'suggests'] as const)
        for (const dependency of this.#pool.list(of, list)) this.#visitWanted(dependency, true);
    }
    return this.#rules;
  }

  /** What was visited, and when that is exhausted, what may supplement it. */
  *#reachable(): Iterable<number> {
    const supplements = this.#pool.packages.filter((p) => p.record.supplements.length > 0);
    const done = new Set<number>();
    for (let before = -1; done.size > before; ) {
      before = done.size;
      for (const id of this.visited) {
        if (done.has(id)) continue;
        done.add(id);
        yield id;
      }
      for (const p of supplements)
        if (this.#pool.list(p, 'supplements').some((d) => this.#isPossible(d)))
          this.visited.add(p.id);
    }
  }

  /** Whether a dependency could be met by what was visited. */
  #isPossible(dependency: Dependency): boolean {
    switch (dependency.kind) {
      case 'if':
      case 'unless':
        return true;
      case 'and':
        return this.#isPossible(dependency.left) && this.#isPossible(dependency.right);
      case 'or':
        return this.#isPossible(dependency.left) || this.#isPossible(dependency.right);
      default:
        return this.#pool.providers(dependency).some((id) => this.visited.has(id));
    }
  }

  #requires(id: number, dependency: Dependency): void {
    const conditions = conditionsOf(this.#pool, dependency);
    const text = dependencyText(dependency);
    if (conditions === true) return;
    if (conditions === false) {
      this.#add('missing', id, [-id], text);
      return;
    }
    for (const block of conditions) {
      // What a package provides itself is met by it.
      if (block.includes(id)) continue;
      this.visit(block.filter((literal) => literal > 0));
      this.#add('requires', id, [...new Set([-id, ...block])], text);
    }
  }

  #conflicts(id: number, dependency: Dependency): void {
    const text = dependencyText(dependency);
    if (!isConditional(dependency)) {
      // A package does not stand against what it provides itself.
      for (const other of this.#pool.providers(dependency))
        if (other !== id) this.#add('conflicts', id, [-id, -other], text);
      return;
    }
    const against = conditionsAgainst(this.#pool, dependency);
    if (against === true) return;
    if (against === false) {
      this.#add('conflicts', id, [-id], text);
      return;
    }
    for (const block of against) {
      if (block.includes(id) || (block.length === 1 && block[0] === -id)) continue;
      this.visit(block.filter((literal) => literal > 0));
      this.#add('conflicts', id, [...new Set([-id, ...block])], text);
    }
  }

  /** Packages that could be installed to meet a weak dependency; `wanted` is false where they must be absent. */
  #visitWanted(dependency: Dependency, wanted: boolean): void {
    const { kind } = dependency;
    if (kind === 'name' || kind === 'with' || kind === 'without') {
      if (wanted) this.visit(this.#pool.providers(dependency));
      return;
    }
    const { left, right, otherwise } = dependency;
    this.#visitWanted(left, wanted);
    if (kind === 'and' || kind === 'or' || otherwise !== undefined)
      this.#visitWanted(right, wanted);
    if (kind === 'if' || kind === 'unless') this.#visitWanted(right, !wanted);
    if (otherwise !== undefined) this.#visitWanted(otherwise, wanted);
  }

  #add(kind: RuleKind, owner: number, literals: readonly number[], text: string): void {
    this.#rules.push({ kind, owner, literals: [...literals].sort((a, b) => a - b), text });
  }
}

/** Sorted by their literals, one of each. */
function distinct(rules: readonly Rule[]): readonly Rule[] {
  const ordered = [...rules].sort((a, b) => compareLiterals(a.literals, b.literals));
  return ordered.filter((rule, i) => {
    const before = ordered[i - 1];
    return before === undefined || compareLiterals(before.literals, rule.literals) !== 0;
  });
}

function compareLiterals(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; ; i++) {
    const order = (a[i] ?? 0) - (b[i] ?? 0);
    if (order !== 0) return order;
    if (i >= a.length && i >= b.length) return 0;
  }
}

/** Packages of which there is one for a better architecture are left out. */
function inferior(pool: Pool, visited: ReadonlySet<number>): readonly Rule[] {
  const groups = new Map<string, PoolPackage[]>();
  for (const id of visited) {
    const of = pool.package(id);
    groups.set(of.record.name, [...(groups.get(of.record.name) ?? []), of]);
  }
  return [...groups.values()].flatMap((group) => {
    const best = Math.min(...group.map((p) => pool.archRank(p) ?? Number.POSITIVE_INFINITY));
    return group
      .filter((p) => (pool.archRank(p) ?? best) > best)
      .map(
        (p): Rule => ({ literals: [-p.id], kind: 'inferior', owner: p.id, text: p.record.name }),
      );
  });
}
