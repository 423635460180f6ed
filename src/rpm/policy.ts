import { byCodeUnit } from '../base/index.ts';
import { compareEvr } from './evr.ts';
import { conditionsOf } from './formula.ts';
import type { Pool, PoolPackage } from './pool.ts';
import type { Sat } from './sat.ts';

/**
 * Which of several packages to take: those of the best repository, then of the best architecture, then the newest of each
 * name, without what others of them obsolete; then what something installed recommends. The first of the rest is taken.
 */
export class Policy {
  readonly #pool: Pool;
  readonly #sat: Sat;

  constructor(pool: Pool, sat: Sat) {
    this.#pool = pool;
    this.#sat = sat;
  }

  /** The best of the candidates, in the order of their names. */
  best(ids: readonly number[]): readonly number[] {
    if (ids.length < 2) return ids;
    const all = ids.map((id) => this.#pool.package(id));
    const priority = Math.max(...all.map((p) => p.priority));
    const ranked = this.#bestArchitecture(all.filter((p) => p.priority === priority));
    return this.#withoutObsoleted(newestOfEachName(this.#pool, ranked)).map((p) => p.id);
  }

  /** The candidates among which a choice is left, if any; nothing is put in order yet. */
  narrowed(ids: readonly number[]): readonly number[] {
    const best = this.best(ids);
    return best.length < 2 ? best : this.#recommendedOnes(best);
  }

  /** The candidates in the order in which they are tried. */
  inOrder(ids: readonly number[]): readonly number[] {
    const narrowed = this.narrowed(ids);
    return this.ordered(narrowed);
  }

  /** The same packages, those that are not out of date and offer newer versions first. */
  ordered(ids: readonly number[]): readonly number[] {
    return ids.length < 2 ? ids : this.#newerOffersFirst(this.#currentFirst(ids));
  }

  /** Whether something installed recommends a package, or it supplements what is installed. */
  isWelcome(id: number): boolean {
    return this.recommended().has(id) || this.isSupplementing(id);
  }

  /** Every package that something installed recommends. */
  recommended(): ReadonlySet<number> {
    const found = new Set<number>();
    for (const owner of this.#sat.trail) {
      if (owner < 0) continue;
      for (const dependency of this.#pool.list(this.#pool.package(owner), 'recommends')) {
        const conditions = conditionsOf(this.#pool, dependency);
        if (typeof conditions === 'boolean') continue;
        for (const block of conditions) {
          const needed = block.filter((literal) => literal < 0);
          if (needed.every((literal) => this.#sat.isFalse(literal)))
            for (const literal of block) if (literal > 0) found.add(literal);
        }
      }
    }
    return found;
  }

  /** Whether a package supplements what is installed. */
  isSupplementing(id: number): boolean {
    return this.#pool.list(this.#pool.package(id), 'supplements').some((dependency) => {
      const conditions = conditionsOf(this.#pool, dependency);
      if (typeof conditions === 'boolean') return conditions;
      return conditions.every((block) =>
        block.some((l) => (l > 0 ? this.#sat.isTrue(l) : !this.#sat.isTrue(-l))),
      );
    });
  }

  #bestArchitecture(packages: readonly PoolPackage[]): readonly PoolPackage[] {
    const ranks = packages.flatMap((p) => this.#pool.archRank(p) ?? []);
    const best = Math.min(...ranks);
    return packages.filter((p) => (this.#pool.archRank(p) ?? best) <= best);
  }

  /** Of packages that obsolete each other in a circle all stay. */
  #withoutObsoleted(packages: readonly PoolPackage[]): readonly PoolPackage[] {
    if (packages.length < 2) return packages;
    const ids = new Set(packages.map((p) => p.id));
    const reach = new Map(packages.map((p) => [p.id, this.#obsoletedFrom(p.id, ids)]));
    return packages.filter(
      (p) =>
        !packages.some(
          (q) => reach.get(q.id)?.has(p.id) === true && reach.get(p.id)?.has(q.id) !== true,
        ),
    );
  }

  #obsoletedFrom(start: number, among: ReadonlySet<number>): ReadonlySet<number> {
    const reached = new Set<number>();
    const todo = [start];
    for (let id = todo.pop(); id !== undefined; id = todo.pop())
      for (const { id: next } of this.#pool.obsoletedBy(this.#pool.package(id)))
        if (among.has(next) && !reached.has(next)) {
          reached.add(next);
          todo.push(next);
        }
    return reached;
  }

  #recommendedOnes(ids: readonly number[]): readonly number[] {
    const recommended = this.recommended();
    const welcome = ids.filter((id) => recommended.has(id) || this.isSupplementing(id));
    return welcome.length === 0 ? ids : welcome;
  }

  /** Packages of which a newer one, or one of a better repository, exists go behind the others. */
  #currentFirst(ids: readonly number[]): readonly number[] {
    const isOld = (id: number): boolean => {
      const of = this.#pool.package(id);
      return this.#pool.named(of.record.name).some((other) => {
        if (other.id === id || other.record.arch !== of.record.arch) return false;
        if (other.priority !== of.priority) return other.priority > of.priority;
        return this.#pool.isNewer(other, of);
      });
    };
    const old = ids.map(isOld);
    return [...ids.filter((_, i) => old[i] === false), ...ids.filter((_, i) => old[i] === true)];
  }

  /** What provides a newer version of a name that several provide goes before the others. */
  #newerOffersFirst(ids: readonly number[]): readonly number[] {
    const demerits = new Map(ids.map((id) => [id, 0]));
    for (const offers of this.#sharedOffers(ids).values()) {
      let worse = 0;
      for (const [i, offer] of offers.entries()) {
        const before = offers[i - 1];
        if (before !== undefined && before.id !== offer.id && compareEvr(before.evr, offer.evr) > 0)
          worse++;
        demerits.set(offer.id, (demerits.get(offer.id) ?? 0) + worse);
      }
    }
    return [...ids].sort((a, b) => (demerits.get(a) ?? 0) - (demerits.get(b) ?? 0));
  }

  /** Versions that candidates provide, by name, newest first; what looks like a digest is no version. */
  #sharedOffers(ids: readonly number[]) {
    const byName = new Map<string, { readonly id: number; readonly evr: PoolPackage['evr'] }[]>();
    for (const id of ids)
      for (const offered of this.#pool.list(this.#pool.package(id), 'provides')) {
        if (offered.kind !== 'name' || offered.bound === undefined) continue;
        const { less, equal, greater, evr } = offered.bound;
        if (greater || !(less || equal)) continue;
        if (
          !less &&
          evr.epoch === 0 &&
          evr.release === undefined &&
          /^[0-9a-f]{4,}$/.test(evr.version)
        )
          continue;
        byName.set(offered.name, [...(byName.get(offered.name) ?? []), { id, evr }]);
      }
    for (const offers of byName.values()) offers.sort((a, b) => compareEvr(b.evr, a.evr));
    return byName;
  }
}

/** One package of each name, in the order of names; the first of equals that is of the best architecture. */
function newestOfEachName(pool: Pool, packages: readonly PoolPackage[]): readonly PoolPackage[] {
  const rank = (p: PoolPackage): number => pool.archRank(p) ?? 0;
  const isArched = (p: PoolPackage): boolean => pool.archRank(p) !== undefined;
  const best = new Map<string, PoolPackage>();
  const ordered = [...packages].sort(
    (a, b) =>
      byCodeUnit(a.record.name, b.record.name) ||
      (isArched(a) && isArched(b) ? rank(a) - rank(b) : 0) ||
      a.id - b.id,
  );
  for (const p of ordered) {
    const known = best.get(p.record.name);
    if (known === undefined || compareEvr(known.evr, p.evr) < 0) best.set(p.record.name, p);
  }
  return [...best.values()];
}
