import type { PackageRecord, PackagesIndex } from './packages-index.ts';
import { type OrGroup, parseRelations, type Relation } from './relation.ts';
import { compareVersions, satisfies } from './version.ts';

/** One index among those to choose from. */
export interface UniverseIndex {
  readonly index: PackagesIndex;
  /** Index into the lock's sources. */
  readonly source: number;
  readonly suite: string;
  /** apt's pin priority (apt_preferences(5)): 500 for a normal source. */
  readonly priority: number;
}

/** A package of one of the indexes, with its relation fields parsed when first asked for. */
export interface Candidate {
  readonly record: PackageRecord;
  readonly source: number;
  readonly suite: string;
  /** Position in the order of all packages: breaks ties the same way every time. */
  readonly order: number;
  /** Pre-Depends, then Depends. */
  readonly needs: readonly Need[];
  readonly recommends: readonly Need[];
  /** Conflicts and Breaks, one relation each. */
  readonly against: readonly (Relation & { readonly field: 'Conflicts' | 'Breaks' })[];
  readonly provides: readonly Relation[];
}

/** One group of a dependency field. */
export interface Need {
  readonly field: 'Pre-Depends' | 'Depends' | 'Recommends';
  readonly group: OrGroup;
}

/** What a template asks for beyond "the newest": a version or a suite of one package. */
export interface Choice {
  readonly version?: string;
  readonly suite?: string;
}

/**
 * All packages that may be chosen, one candidate a name as apt has it: the highest pin, then the highest version, then the
 * first source. Foreign architectures are not part of it.
 */
export class Universe {
  readonly #indexes: readonly UniverseIndex[];
  readonly #architecture: string;
  readonly #choices: ReadonlyMap<string, Choice>;
  readonly #excluded: ReadonlySet<string>;
  readonly #candidates = new Map<string, Candidate | undefined>();
  readonly #providers = new Map<string, readonly Candidate[]>();

  constructor(
    indexes: readonly UniverseIndex[],
    options: {
      readonly architecture: string;
      readonly choices?: ReadonlyMap<string, Choice>;
      readonly excluded?: ReadonlySet<string>;
    },
  ) {
    this.#indexes = indexes;
    this.#architecture = options.architecture;
    this.#choices = options.choices ?? new Map<string, Choice>();
    this.#excluded = options.excluded ?? new Set<string>();
  }

  /** The version of a package that would be installed. */
  candidate(name: string): Candidate | undefined {
    if (this.#candidates.has(name)) return this.#candidates.get(name);
    const found = this.#excluded.has(name) ? undefined : this.#pick(name);
    this.#candidates.set(name, found);
    return found;
  }

  /** Whether the template forbids a package. */
  isExcluded(name: string): boolean {
    return this.#excluded.has(name);
  }

  /** Every version of a package with the suite it is in, best first. */
  versions(name: string): readonly { readonly version: string; readonly suite: string }[] {
    return this.#all(name).map((v) => ({ version: v.record.version, suite: v.from.suite }));
  }

  /** Candidates that provide a name, best first: Essential, then Priority, then index order (as apt prefers them). */
  providers(name: string): readonly Candidate[] {
    const known = this.#providers.get(name);
    if (known !== undefined) return known;
    const names = new Set(this.#indexes.flatMap((i) => i.index.providing(name).map((r) => r.name)));
    const found = [...names]
      .flatMap((n) => this.candidate(n) ?? [])
      .filter((c) => c.provides.some((p) => p.name === name))
      .sort(
        (a, b) =>
          Number(b.record.essential) - Number(a.record.essential) ||
          a.record.priority - b.record.priority ||
          a.order - b.order,
      );
    this.#providers.set(name, found);
    return found;
  }

  /** Candidates that are essential or of at most a priority, in index order. */
  base(priority: number): readonly Candidate[] {
    const names = new Set(
      this.#indexes.flatMap((i) => [...i.index.important(priority)].map((r) => r.name)),
    );
    return [...names]
      .flatMap((n) => this.candidate(n) ?? [])
      .filter((c) => c.record.essential || c.record.priority <= priority)
      .sort((a, b) => a.order - b.order);
  }

  /** Names of all packages, for suggestions. */
  *names(): Iterable<string> {
    for (const { index } of this.#indexes) yield* index.names();
  }

  /** Whether `candidate` fulfils a relation, by its name or by what it provides (Debian Policy 7.5). */
  fulfils(candidate: Candidate, relation: Relation): boolean {
    if (!this.#archFits(candidate, relation)) return false;
    const { record } = candidate;
    if (record.name === relation.name && versionFits(record.version, relation)) return true;
    return candidate.provides.some((p) => {
      if (p.name !== relation.name) return false;
      if (relation.version === undefined) return true;
      // Only "=" says a version in Provides; without one nothing versioned is fulfilled.
      return p.version?.relation === '=' && versionFits(p.version.bound, relation);
    });
  }

  #archFits({ record }: Candidate, { arch }: Relation): boolean {
    if (arch === undefined || arch === 'native') return true;
    if (arch === 'any') return record.multiArch === 'allowed';
    return arch === this.#architecture && record.architecture !== 'all';
  }

  #all(name: string) {
    const found = this.#indexes.flatMap((from, rank) =>
      from.index
        .named(name)
        .filter((r) => r.architecture === 'all' || r.architecture === this.#architecture)
        .map((record) => ({ record, from, rank })),
    );
    return found.sort(
      (a, b) =>
        b.from.priority - a.from.priority ||
        compareVersions(b.record.version, a.record.version) ||
        a.rank - b.rank,
    );
  }

  #pick(name: string): Candidate | undefined {
    const choice = this.#choices.get(name);
    const found = this.#all(name).find(
      ({ record, from }) =>
        (choice !== undefined || from.priority >= 0) &&
        (choice?.suite === undefined || choice.suite === from.suite) &&
        (choice?.version === undefined || matchesVersion(record.version, choice.version)),
    );
    return found === undefined ? undefined : candidateOf(found.record, found.from);
  }
}

const versionFits = (version: string, relation: Relation): boolean =>
  relation.version === undefined ||
  satisfies(version, relation.version.relation, relation.version.bound);

const matchesVersion = (version: string, wanted: string): boolean =>
  wanted.endsWith('*') ? version.startsWith(wanted.slice(0, -1)) : version === wanted;

function candidateOf(record: PackageRecord, from: UniverseIndex): Candidate {
  const need = (field: Need['field'], text: string): Need[] =>
    text === '' ? [] : parseRelations(text).map((group) => ({ field, group }));
  const against = (field: 'Conflicts' | 'Breaks', text: string) =>
    text === '' ? [] : parseRelations(text).flatMap((g) => g.map((r) => ({ ...r, field })));
  return {
    record,
    source: from.source,
    suite: from.suite,
    order: from.index.orderOf(record.name),
    needs: [...need('Pre-Depends', record.preDepends), ...need('Depends', record.depends)],
    recommends: need('Recommends', record.recommends),
    against: [...against('Conflicts', record.conflicts), ...against('Breaks', record.breaks)],
    provides: record.provides === '' ? [] : parseRelations(record.provides).flat(),
  };
}
