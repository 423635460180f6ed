import {
  type Bound,
  type Capability,
  type Dependency,
  dependencyText,
  meets,
  parseDependency,
} from './dependency.ts';
import { compareEvr, type Evr } from './evr.ts';
import { type DependencyList, nevra, type RpmRecord } from './record.ts';

/** A package among those to choose from. */
export interface PoolPackage {
  /** From 1; literals of the solver are identifiers and their negations. */
  readonly id: number;
  readonly record: RpmRecord;
  /** Which repository it is in: index into the list that the pool was made of. */
  readonly source: number;
  /** Of its repository: higher wins over version. */
  readonly priority: number;
  readonly evr: Evr;
}

/** One repository among those to choose from. */
export interface PoolSource {
  readonly records: readonly RpmRecord[];
  readonly priority: number;
  /** Paths of packages that the primary metadata does not list, by SHA-256 of the package. */
  readonly extraFiles?: ReadonlyMap<string, readonly string[]>;
}

/** What the pool is made for. */
export interface PoolOptions {
  /** Architectures that can be installed, best first; `noarch` always can. */
  readonly architectures: readonly string[];
  /** False for packages that must not be chosen. */
  readonly allowed?: (record: RpmRecord, source: number) => boolean;
}

/** Every name that packages bear, with the packages that bear it and the range of versions that each stands for. */
type Offers = Map<string, { readonly id: number; readonly bound: Bound | undefined }[]>;

/** What rpm itself provides: abilities of the program, which every program that installs packages has. */
const OF_RPM = /^rpmlib\(/;

/** All packages that may be chosen, with an index of what they provide. */
export class Pool {
  readonly packages: readonly PoolPackage[];
  readonly #byName = new Map<string, PoolPackage[]>();
  readonly #offers: Offers = new Map();
  readonly #files = new Map<string, number[]>();
  readonly #parsed = new Map<string, Dependency | undefined>();
  readonly #architectures: readonly string[];

  constructor(sources: readonly PoolSource[], options: PoolOptions) {
    this.#architectures = options.architectures;
    const packages: PoolPackage[] = [];
    for (const [source, { records, priority, extraFiles }] of sources.entries())
      for (const record of records) {
        if (record.arch !== 'noarch' && !options.architectures.includes(record.arch)) continue;
        if (options.allowed?.(record, source) === false) continue;
        const { epoch, version, release } = record;
        const evr = { epoch, version, release };
        const made = { id: packages.length + 1, record, source, priority, evr };
        packages.push(made);
        this.#index(made, extraFiles?.get(record.sha256) ?? []);
      }
    this.packages = packages;
  }

  /** A package by its number. */
  package(id: number): PoolPackage {
    const found = this.packages[id - 1];
    if (found === undefined) throw new Error(`no package ${id} in the pool`);
    return found;
  }

  /** All packages of a name. */
  named(name: string): readonly PoolPackage[] {
    return this.#byName.get(name) ?? [];
  }

  /** Names of all packages. */
  names(): Iterable<string> {
    return this.#byName.keys();
  }

  /** One of a package's lists; what cannot be read stands for a name that nothing provides. */
  list(of: PoolPackage, list: DependencyList): readonly Dependency[] {
    return of.record[list].map(
      (text) => this.#parse(text) ?? { kind: 'name', name: text, bound: undefined },
    );
  }

  /** Whether a dependency is met by every program that installs packages. */
  isBuiltIn(dependency: Capability): boolean {
    return OF_RPM.test(dependency.name);
  }

  /** The packages that fulfil a dependency which speaks of one package at a time, in the order of their numbers. */
  providers(dependency: Dependency): readonly number[] {
    switch (dependency.kind) {
      case 'name':
        return this.#named(dependency);
      case 'or':
        return sorted([...this.providers(dependency.left), ...this.providers(dependency.right)]);
      case 'with': {
        const right = new Set(this.providers(dependency.right));
        return this.providers(dependency.left).filter((id) => right.has(id));
      }
      case 'without': {
        const right = new Set(this.providers(dependency.right));
        return this.providers(dependency.left).filter((id) => !right.has(id));
      }
      default:
        return [];
    }
  }

  /** Packages that a package replaces: obsoleting goes by names, not by what is provided (rpm-dependencies(7)). */
  obsoletedBy(obsoleter: PoolPackage): readonly { readonly id: number; readonly text: string }[] {
    return this.list(obsoleter, 'obsoletes').flatMap((dependency) =>
      dependency.kind !== 'name'
        ? []
        : this.named(dependency.name)
            .filter((p) => p.id !== obsoleter.id && meets(exactly(p.evr), dependency.bound))
            .map((p) => ({ id: p.id, text: dependencyText(dependency) })),
    );
  }

  /** How good an architecture is: 0 is the best; `noarch` has none. */
  archRank(of: PoolPackage): number | undefined {
    const at = this.#architectures.indexOf(of.record.arch);
    return at < 0 ? undefined : at;
  }

  /** Whether `a` is newer than `b` (both of one name). */
  isNewer(a: PoolPackage, b: PoolPackage): boolean {
    return compareEvr(a.evr, b.evr) > 0;
  }

  /** What to call a package in messages. */
  text(id: number): string {
    return nevra(this.package(id).record);
  }

  #named({ name, bound }: Capability): readonly number[] {
    const ids = (this.#offers.get(name) ?? [])
      .filter((o) => meets(o.bound, bound))
      .map((o) => o.id);
    return name.startsWith('/') ? sorted([...ids, ...(this.#files.get(name) ?? [])]) : unique(ids);
  }

  #index(made: PoolPackage, extraFiles: readonly string[]): void {
    const { id, record } = made;
    push(this.#byName, record.name, made);
    for (const text of record.provides) {
      const offered = this.#parse(text);
      if (offered?.kind === 'name') push(this.#offers, offered.name, { id, bound: offered.bound });
    }
    const own = (this.#offers.get(record.name) ?? []).some(
      (o) => o.id === id && meets(o.bound, exactly(made.evr)),
    );
    if (!own) push(this.#offers, record.name, { id, bound: exactly(made.evr) });
    for (const path of record.files) push(this.#files, path, id);
    for (const path of extraFiles) push(this.#files, path, id);
  }

  #parse(text: string): Dependency | undefined {
    if (this.#parsed.has(text)) return this.#parsed.get(text);
    const parsed = parseDependency(text);
    this.#parsed.set(text, parsed);
    return parsed;
  }
}

const exactly = (evr: Evr): Bound => ({ less: false, equal: true, greater: false, evr });

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

const unique = (ids: readonly number[]): readonly number[] =>
  ids.filter((id, i) => i === 0 || ids[i - 1] !== id);
const sorted = (ids: readonly number[]): readonly number[] =>
  unique([...ids].sort((a, b) => a - b));
