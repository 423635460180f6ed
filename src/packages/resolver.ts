import { err, failure, ok, type Result } from '../base/index.ts';
import { type Chosen, type DeadEnd, explainDeadEnd } from './explain.ts';
import { type OrGroup, relationText } from './relation.ts';
import type { Candidate, Need, Universe } from './universe.ts';

/** What to choose. */
export interface Wanted {
  /** Packages to have, in order: all of them are chosen before anything that they need. */
  readonly seeds: readonly { readonly candidate: Candidate; readonly reason: string }[];
  readonly recommends: boolean;
  /** Steps after which the search gives up. */
  readonly budget?: number;
}

const DEFAULT_BUDGET = 2_000_000;

/**
 * Chooses packages as apt does: needs are met depth first in the order in which they are written; a need that something
 * chosen fulfils costs nothing; otherwise the first alternative whose candidate fits and conflicts with nothing chosen is
 * taken (real packages before providers). A dead end goes back to the last decision that had another alternative, so that a
 * solution is found where there is one. Recommends come after all needs, each only if it can be had without changing what is
 * chosen. The result depends on nothing but the indexes and the order of `seeds`. PK030: no solution.
 */
export function resolve(universe: Universe, wanted: Wanted): Result<ReadonlyMap<string, Chosen>> {
  const search = new Search(universe, wanted.budget ?? DEFAULT_BUDGET);
  for (const { candidate, reason } of wanted.seeds) {
    if (search.chosen.has(candidate.record.name)) continue;
    const clash = search.clashOf(candidate);
    if (clash !== undefined)
      return err(
        failure('PK030', 2, 'the packages asked for cannot be installed together', {
          details: [clash],
          help: 'leave one of them out',
        }),
      );
    search.choose({ candidate, manual: true, reason, parent: undefined });
  }
  const seeded = [...search.chosen.values()];
  const agenda = seeded.reduceRight<Agenda>((rest, s) => needsOf(s, rest), undefined);
  const end = search.run(agenda);
  if (end !== undefined) return err(explainDeadEnd(end, search.spent));
  if (wanted.recommends) addRecommends(search);
  return ok(search.chosen);
}

/** Recommends of everything chosen, of recommended packages too, in the order of choosing. */
function addRecommends(search: Search): void {
  // The map grows while it is walked: a Map's iterator visits what is added behind it.
  for (const owner of search.chosen.values())
    for (const need of owner.candidate.recommends) {
      const before = search.mark();
      if (search.run({ owner, need, rest: undefined }) !== undefined) search.rewind(before);
    }
}

/** Needs still to be met, as a list that choice points can share. */
type Agenda = { readonly owner: Chosen; readonly need: Need; readonly rest: Agenda } | undefined;

function needsOf(owner: Chosen, rest: Agenda): Agenda {
  return owner.candidate.needs.reduceRight<Agenda>(
    (tail, need) => ({ owner, need, rest: tail }),
    rest,
  );
}

interface ChoicePoint {
  readonly mark: number;
  readonly owner: Chosen;
  readonly need: Need;
  readonly rest: Agenda;
  readonly remaining: readonly Candidate[];
}

class Search {
  readonly chosen = new Map<string, Chosen>();
  readonly #universe: Universe;
  /** Chosen packages by each name they have or provide. */
  readonly #bearers = new Map<string, Candidate[]>();
  /** Chosen packages that are against a name. */
  readonly #enemies = new Map<string, Candidate[]>();
  readonly #trail: string[] = [];
  #budget: number;
  /** True when the search gave up. */
  spent = false;

  constructor(universe: Universe, budget: number) {
    this.#universe = universe;
    this.#budget = budget;
  }

  mark(): number {
    return this.#trail.length;
  }

  /** Meets everything on the agenda; the most informative dead end when that cannot be done. */
  run(start: Agenda): DeadEnd | undefined {
    const points: ChoicePoint[] = [];
    let agenda = start;
    let deepest: DeadEnd | undefined;
    while (agenda !== undefined) {
      const { owner, need, rest } = agenda;
      if (this.#isMet(need.group)) {
        agenda = rest;
        continue;
      }
      if (--this.#budget < 0) this.spent = true;
      const options = this.spent ? [] : this.#options(need.group);
      const point = { mark: this.mark(), owner, need, rest, remaining: options };
      const next = this.#advance(point, points);
      if (next !== 'dead') {
        agenda = next;
        continue;
      }
      deepest ??= this.#deadEnd(owner, need);
      const resumed = this.#backtrack(points);
      if (resumed === 'dead') return deepest;
      agenda = resumed;
    }
    return undefined;
  }

  /** Takes the first remaining option of a point, leaving the others for later. */
  #advance(point: ChoicePoint, points: ChoicePoint[]): Agenda | 'dead' {
    const [candidate, ...remaining] = point.remaining;
    if (candidate === undefined) return 'dead';
    if (remaining.length > 0) points.push({ ...point, remaining });
    const reason = `needed by ${point.owner.candidate.record.name} (${point.need.field}: ${relationText(point.need.group)})`;
    const parent = point.owner.candidate.record.name;
    const chosen: Chosen = { candidate, manual: false, reason, parent };
    this.choose(chosen);
    return needsOf(chosen, point.rest);
  }

  #backtrack(points: ChoicePoint[]): Agenda | 'dead' {
    for (let point = points.pop(); point !== undefined; point = points.pop()) {
      this.rewind(point.mark);
      const next = this.#advance(point, points);
      if (next !== 'dead') return next;
    }
    return 'dead';
  }

  #isMet(group: OrGroup): boolean {
    return group.some((relation) =>
      (this.#bearers.get(relation.name) ?? []).some((c) => this.#universe.fulfils(c, relation)),
    );
  }

  /** Candidates for a group that could be chosen now, best first. */
  #options(group: OrGroup): Candidate[] {
    const options = new Map<string, Candidate>();
    for (const candidate of this.#possible(group))
      if (!options.has(candidate.record.name) && this.#mayJoin(candidate))
        options.set(candidate.record.name, candidate);
    return [...options.values()];
  }

  *#possible(group: OrGroup): Iterable<Candidate> {
    for (const relation of group) {
      const real = this.#universe.candidate(relation.name);
      if (real !== undefined && this.#universe.fulfils(real, relation)) yield real;
      for (const provider of this.#universe.providers(relation.name))
        if (this.#universe.fulfils(provider, relation)) yield provider;
    }
  }

  #mayJoin(candidate: Candidate): boolean {
    return !this.chosen.has(candidate.record.name) && this.clashOf(candidate) === undefined;
  }

  /** Why a candidate cannot stand beside what is chosen, or undefined when it can. */
  clashOf(candidate: Candidate): string | undefined {
    for (const relation of candidate.against)
      for (const other of this.#bearers.get(relation.name) ?? [])
        if (other !== candidate && this.#universe.fulfils(other, relation))
          return clashText(candidate, relation.field, { group: [relation], other });
    for (const name of namesOf(candidate))
      for (const enemy of this.#enemies.get(name) ?? []) {
        const relation = enemy.against.find(
          (r) => r.name === name && this.#universe.fulfils(candidate, r),
        );
        if (relation !== undefined && enemy !== candidate)
          return clashText(enemy, relation.field, { group: [relation], other: candidate });
      }
    return undefined;
  }

  choose(chosen: Chosen): void {
    const { candidate } = chosen;
    this.chosen.set(candidate.record.name, chosen);
    this.#trail.push(candidate.record.name);
    for (const name of namesOf(candidate)) push(this.#bearers, name, candidate);
    for (const name of enemiesOf(candidate)) push(this.#enemies, name, candidate);
  }

  rewind(mark: number): void {
    while (this.#trail.length > mark) {
      const name = this.#trail.pop() ?? '';
      const candidate = this.chosen.get(name)?.candidate;
      this.chosen.delete(name);
      if (candidate === undefined) continue;
      for (const own of namesOf(candidate)) this.#bearers.get(own)?.pop();
      for (const enemy of enemiesOf(candidate)) this.#enemies.get(enemy)?.pop();
    }
  }

  #deadEnd(owner: Chosen, need: Need): DeadEnd {
    const chain = [owner];
    for (let at = owner.parent; at !== undefined; ) {
      const above = this.chosen.get(at);
      if (above === undefined) break;
      chain.unshift(above);
      at = above.parent;
    }
    return { chain, need, tried: need.group.flatMap((relation) => this.#why(relation)) };
  }

  #why(relation: OrGroup[number]): string[] {
    const text = relationText([relation]);
    const { name } = relation;
    if (this.#universe.isExcluded(name)) return [`${name} is excluded by the template`];
    const real = this.#universe.candidate(name);
    const providers = this.#universe
      .providers(name)
      .filter((p) => this.#universe.fulfils(p, relation));
    const lines: string[] = [];
    if (real === undefined && providers.length === 0) lines.push(`${text}: no such package`);
    if (real !== undefined && !this.#universe.fulfils(real, relation))
      lines.push(`${text}: the candidate is ${real.record.version} (${real.suite})`);
    const fitting = [
      ...(real !== undefined && this.#universe.fulfils(real, relation) ? [real] : []),
      ...providers,
    ];
    for (const candidate of fitting)
      lines.push(this.clashOf(candidate) ?? `${candidate.record.name} cannot be installed`);
    return lines;
  }
}

function clashText(
  who: Candidate,
  field: 'Conflicts' | 'Breaks',
  what: { readonly group: OrGroup; readonly other: Candidate },
): string {
  const { other, group } = what;
  return `${who.record.name} ${who.record.version} ${field === 'Breaks' ? 'breaks' : 'conflicts with'} ${relationText(group)}, and ${other.record.name} ${other.record.version} is chosen`;
}

function namesOf(candidate: Candidate): Set<string> {
  return new Set([candidate.record.name, ...candidate.provides.map((p) => p.name)]);
}

function enemiesOf(candidate: Candidate): Set<string> {
  return new Set(candidate.against.map((r) => r.name));
}

function push(map: Map<string, Candidate[]>, key: string, candidate: Candidate): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [candidate]);
  else list.push(candidate);
}
