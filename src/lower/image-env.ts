/** The variables of an image as `KEY=value`: one that is set again keeps its place. */
export class ImageEnv {
  readonly #lines: string[];
  /** Where each name stands first: an image may have a name twice. */
  #places: Map<string, number> | undefined;

  constructor(lines: readonly string[]) {
    this.#lines = [...lines];
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  has(name: string): boolean {
    return this.#index().has(name);
  }

  set(name: string, value: string): void {
    const places = this.#index();
    const at = places.get(name);
    if (at === undefined) places.set(name, this.#lines.length);
    this.#lines[at ?? this.#lines.length] = `${name}=${value}`;
  }

  /** Each line as a name and a value; without an equals sign the value is empty. */
  pairs(): readonly (readonly [name: string, value: string])[] {
    return this.#lines.map((line) => {
      const equals = line.indexOf('=');
      return equals === -1 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)];
    });
  }

  /** Made when it is first needed: most stages set nothing. */
  #index(): Map<string, number> {
    if (this.#places !== undefined) return this.#places;
    const places = new Map<string, number>();
    this.pairs().forEach(([name], at) => {
      if (!places.has(name)) places.set(name, at);
    });
    this.#places = places;
    return places;
  }
}
