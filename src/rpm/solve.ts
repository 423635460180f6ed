import { conditionsOf } from './formula.ts';
import { Policy } from './policy.ts';
import type { Pool } from './pool.ts';
import { makeRules, type Rule, type RuleSet, type Wish } from './rules.ts';
import { Sat } from './sat.ts';

/** The packages chosen, by number in rising order, or the rules that cannot all hold. */
export type Solution =
  | { readonly ok: true; readonly chosen: readonly number[] }
  | { readonly ok: false; readonly conflict: readonly Rule[] };

/** A choice that had other possibilities, each of which was tried (`tried`) or not. */
interface Branch {
  readonly level: number;
  readonly options: { readonly id: number; tried: boolean }[];
}

/**
 * Chooses packages as libsolv does, which dnf and zypper use: wishes first, in the order in which they are asked for; then what
 * packages require, where there is no choice before where there is one; then what is recommended and what supplements, as far as
 * it can be had; and where a choice turned out to be superfluous because another candidate is installed anyway, it is made again.
 * The result depends on nothing but the packages and the wishes.
 */
export function solve(
  pool: Pool,
  wishes: readonly Wish[],
  options: { readonly recommends: boolean },
): Solution {
  return new Search(pool, makeRules(pool, wishes), options.recommends).run();
}

class Search {
  readonly #pool: Pool;
  readonly #set: RuleSet;
  readonly #sat: Sat;
  readonly #policy: Policy;
  readonly #recommends: boolean;
  readonly #branches: Branch[] = [];
  #level = 1;

  constructor(pool: Pool, set: RuleSet, recommends: boolean) {
    this.#pool = pool;
    this.#set = set;
    this.#recommends = recommends;
    this.#sat = new Sat(pool.packages.length);
    this.#policy = new Policy(pool, this.#sat);
    for (const rule of set.rules) this.#sat.add(rule.literals);
  }

  run(): Solution {
    if (this.#sat.start()) this.#search();
    const { contradiction } = this.#sat;
    if (contradiction === undefined)
      return { ok: true, chosen: this.#sat.trail.filter((l) => l > 0).sort((a, b) => a - b) };
    const conflict = this.#set.rules.filter((_, i) => contradiction.has(i));
    return { ok: false, conflict };
  }

  #search(): void {
    /** Wishes are looked at again only when conflicts led back below what they decided. */
    let settled = 2;
    while (this.#level > 0) {
      if (this.#level < settled) {
        const before = this.#level;
        this.#fulfilWishes();
        if (this.#level < before) continue;
        settled = this.#level;
      }
      const before = this.#level;
      this.#fulfilRules();
      if (this.#level < before) continue;
      if (this.#recommends && this.#addWelcome()) continue;
      if (!this.#reconsider()) break;
    }
  }

  /** Goes through what is asked for; again where a conflict led back. */
  #fulfilWishes(): void {
    const start = this.#level;
    for (let i = this.#set.firstAsked; i < this.#set.afterAsked; i++) {
      const open = this.#openLiterals(i);
      if (open.length === 0) continue;
      const before = this.#level;
      this.#take(open);
      if (this.#level > before) continue;
      if (this.#level < start) return;
      i = this.#level === before ? i - 1 : this.#set.firstAsked - 1;
    }
  }

  /** Goes round the rules until none is open; those that leave a choice come last. */
  #fulfilRules(): void {
    const start = this.#level;
    const { clauses } = this.#sat;
    /** The first rule that was put off; -1: choices are made now. */
    let postponed: number | undefined;
    for (let i = 0, passed = 0; ; i++, passed++) {
      if (passed >= clauses.length) {
        if (postponed === undefined || postponed < 0) return;
        i = postponed;
        postponed = -1;
        passed = 0;
      }
      if (i >= clauses.length) i = 0;
      const open = this.#openLiterals(i);
      if (open.length < 2) continue;
      if (postponed === undefined || postponed >= 0) {
        const narrowed = this.#policy.narrowed(open);
        if (narrowed.length > 1) {
          postponed ??= i;
          continue;
        }
        this.#take(narrowed);
      } else this.#take(open);
      if (this.#level < start) return;
      passed = -1;
    }
  }

  /** The undecided packages of a clause that does not hold yet, when one of them has to be installed. */
  #openLiterals(number: number): readonly number[] {
    const open: number[] = [];
    for (const literal of this.#sat.clauses[number]?.literals ?? []) {
      if (this.#sat.isTrue(literal)) return [];
      if (this.#sat.isFalse(literal)) continue;
      if (literal < 0) return [];
      open.push(literal);
    }
    return open;
  }

  #take(candidates: readonly number[]): void {
    const [first = 0, ...others] = this.#policy.inOrder(candidates);
    if (others.length > 0)
      this.#branches.push({
        level: this.#level,
        options: [first, ...others].map((id, i) => ({ id, tried: i === 0 })),
      });
    this.#choose(first);
  }

  #choose(literal: number): void {
    this.#setLevel(this.#sat.choose(this.#level, literal));
  }

  /** Choices above what was gone back to are forgotten. */
  #setLevel(level: number): void {
    const lower = level <= this.#level;
    this.#level = level;
    if (lower) this.#forget(level);
  }

  /** Installs what is recommended or supplements and can be had; false when there is nothing left of that. */
  #addWelcome(): boolean {
    const recommended = this.#openRecommends();
    const supplementing = this.#pool.packages
      .map((p) => p.id)
      .filter((id) => this.#sat.level(id) === 0 && this.#policy.isSupplementing(id));
    const all = [...new Set([...recommended.flat(), ...supplementing])];
    if (all.length === 0) return false;
    if (all.length === 1) {
      this.#choose(all[0] ?? 0);
      return true;
    }
    const best = new Set(this.#policy.best(all));
    const { trail } = this.#sat;
    const decided = trail.length;
    for (const id of this.#policy.ordered(supplementing.filter((s) => best.has(s)))) {
      if (this.#sat.level(id) !== 0) continue;
      const before = this.#level;
      this.#choose(id);
      if (this.#level <= before) return true;
    }
    this.#addRecommends(trail.slice(0, decided), best);
    return true;
  }

  #addRecommends(owners: readonly number[], best: ReadonlySet<number>): void {
    for (const owner of owners) {
      if (owner < 0) continue;
      for (const dependency of this.#pool.list(this.#pool.package(owner), 'recommends')) {
        const open = this.#openOf(conditionsOf(this.#pool, dependency), best);
        if (open.length === 0) continue;
        const before = this.#level;
        this.#take(open);
        if (this.#level <= before || this.#sat.trail.length < owners.length) return;
      }
    }
  }

  /** What installed packages recommend and nothing meets yet. */
  #openRecommends(): readonly (readonly number[])[] {
    return this.#pool.packages
      .filter((p) => this.#sat.level(p.id) > 0)
      .flatMap((p) => this.#pool.list(p, 'recommends'))
      .map((dependency) => this.#openOf(conditionsOf(this.#pool, dependency), undefined))
      .filter((open) => open.length > 0);
  }

  #openOf(
    conditions: ReturnType<typeof conditionsOf>,
    among: ReadonlySet<number> | undefined,
  ): readonly number[] {
    if (typeof conditions === 'boolean') return [];
    const open = new Set<number>();
    for (const block of conditions) {
      const met = block.some((l) => (l > 0 ? this.#sat.isTrue(l) : !this.#sat.isTrue(-l)));
      if (met) continue;
      for (const id of block)
        if (id > 0 && this.#sat.level(id) === 0 && among?.has(id) !== false) open.add(id);
    }
    return [...open];
  }

  /** Makes the first choice again of which another candidate is installed anyway, or recommended where the chosen is not. */
  #reconsider(): boolean {
    const recommended = this.#policy.recommended();
    const isWelcome = (id: number): boolean =>
      recommended.has(id) || this.#policy.isSupplementing(id);
    for (const branch of this.#branches) {
      const option = this.#betterOption(branch, isWelcome);
      if (option === undefined) continue;
      option.tried = true;
      while (this.#branches.at(-1) !== branch) this.#branches.pop();
      this.#sat.revert(branch.level);
      this.#level = branch.level;
      this.#chooseAgain(branch, option.id);
      return true;
    }
    return false;
  }

  #betterOption(
    branch: Branch,
    isWelcome: (id: number) => boolean,
  ): Branch['options'][number] | undefined {
    const untried = branch.options.filter((o) => !o.tried);
    const installed = untried.find((o) => this.#sat.level(o.id) > branch.level);
    if (installed !== undefined) return installed;
    const welcome = untried.find((o) => isWelcome(o.id));
    const current = branch.options.find(
      (o) => o.tried && this.#sat.level(o.id) === branch.level + 1,
    );
    return welcome !== undefined && current !== undefined && !isWelcome(current.id)
      ? welcome
      : undefined;
  }

  /** As `#choose`, but the branch itself stays for its other options unless conflicts lead back to it. */
  #chooseAgain(branch: Branch, literal: number): void {
    const level = this.#sat.choose(branch.level, literal);
    this.#level = level;
    this.#forget(level);
  }

  #forget(level: number): void {
    for (let last = this.#branches.at(-1); last !== undefined; last = this.#branches.at(-1)) {
      if (last.level < level) return;
      this.#branches.pop();
    }
  }
}
