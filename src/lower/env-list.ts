/** A log this much longer than the variables in it is written anew. */
const SLACK = 64;

/** What the versions of a list share: everything that was ever set, and where each variable was. */
interface Log {
  /** A variable that was removed has no value. */
  readonly entries: { readonly name: string; readonly value: string | undefined }[];
  readonly places: Map<string, number[]>;
}

/**
 * An ordered, persistent list of variables: a variable set again moves to the end (BuildKit `llb.EnvList`). The newest
 * version of a list grows without being copied, and older ones do not see what came behind them.
 */
export class EnvList {
  readonly #log: Log;
  readonly #length: number;
  #lines: readonly string[] | undefined;
  #keys: readonly string[] | undefined;

  /** `log` is of a list that this one continues. */
  constructor(
    entries: Iterable<readonly [string, string | undefined]> = [],
    log: Log = { entries: [], places: new Map() },
  ) {
    for (const [name, value] of entries) append(log, name, value);
    this.#log = log;
    this.#length = log.entries.length;
  }

  get(name: string): string | undefined {
    const at = this.#log.places.get(name)?.findLast((place) => place < this.#length);
    return at === undefined ? undefined : this.#log.entries[at]?.value;
  }

  keys(): readonly string[] {
    this.#keys ??= this.#current().map(([name]) => name);
    return this.#keys;
  }

  /** This list with a variable set. */
  with(name: string, value: string): EnvList {
    return this.#plus([[name, value]]);
  }

  /** This list with variables set one after the other. */
  withAll(entries: readonly (readonly [string, string])[]): EnvList {
    return entries.length === 0 ? this : this.#plus(entries);
  }

  /** This list without a variable. */
  without(name: string): EnvList {
    return this.#plus([[name, undefined]]);
  }

  /** `KEY=value` in order. */
  lines(): readonly string[] {
    this.#lines ??= this.#current().map(([name, value]) => `${name}=${value}`);
    return this.#lines;
  }

  /** Characters of the lines. */
  size(): number {
    let size = 0;
    for (const line of this.lines()) size += line.length;
    return size;
  }

  #plus(entries: readonly (readonly [string, string | undefined])[]): EnvList {
    const { entries: known, places } = this.#log;
    const grows = known.length === this.#length && known.length <= 4 * places.size + SLACK;
    const base = grows ? this : new EnvList(this.#current());
    return new EnvList(entries, base.#log);
  }

  #current(): [string, string][] {
    const found: [string, string][] = [];
    for (let at = 0; at < this.#length; at++) {
      const entry = this.#log.entries[at];
      const value = entry?.value;
      if (entry === undefined || value === undefined) continue;
      const last = this.#log.places.get(entry.name)?.findLast((place) => place < this.#length);
      if (last === at) found.push([entry.name, value]);
    }
    return found;
  }
}

function append(log: Log, name: string, value: string | undefined): void {
  const places = log.places.get(name);
  if (places === undefined) log.places.set(name, [log.entries.length]);
  else places.push(log.entries.length);
  log.entries.push({ name, value });
}
