/** An ordered, persistent list of variables: a variable set again moves to the end (BuildKit `llb.EnvList`). */
export class EnvList {
  readonly #entries: ReadonlyMap<string, string>;

  constructor(entries: Iterable<readonly [string, string]> = []) {
    this.#entries = new Map(entries);
  }

  get(name: string): string | undefined {
    return this.#entries.get(name);
  }

  keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** This list with a variable set. */
  with(name: string, value: string): EnvList {
    const next = new Map(this.#entries);
    next.delete(name);
    next.set(name, value);
    return new EnvList(next);
  }

  /** This list without a variable. */
  without(name: string): EnvList {
    const next = new Map(this.#entries);
    next.delete(name);
    return new EnvList(next);
  }

  /** `KEY=value` in order. */
  lines(): readonly string[] {
    return [...this.#entries].map(([k, v]) => `${k}=${v}`);
  }
}
