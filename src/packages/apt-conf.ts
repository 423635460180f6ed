/*
 * The part of apt.conf(5)'s syntax that settings have: `A::B "value";`, `A { B "value"; };`, `list:: "member";`, comments
 * (`//`, `#`, C style) and `#clear`. Values are kept as text; names are compared without case.
 */

/** Settings by lower-case path (`acquire::http::proxy`); lists have their members in order. */
export class AptConfig {
  readonly #values = new Map<string, string>();
  readonly #lists = new Map<string, string[]>();

  /** The value of a setting, if set. */
  get(path: string): string | undefined {
    return this.#values.get(path.toLowerCase());
  }

  /** A yes/no setting as apt reads it. */
  flag(path: string, otherwise: boolean): boolean {
    const value = this.get(path)?.toLowerCase();
    if (value === undefined || value === '') return otherwise;
    if (/^(?:no|false|without|off|disable|0)$/.test(value)) return false;
    return /^(?:yes|true|with|on|enable|[1-9]\d*)$/.test(value) || otherwise;
  }

  /** Members of a list. */
  list(path: string): readonly string[] {
    return this.#lists.get(path.toLowerCase()) ?? [];
  }

  /** Sets a value; a path that ends in `::` appends to a list. */
  set(path: string, value: string): void {
    const key = path.toLowerCase();
    if (!key.endsWith('::')) {
      this.#values.set(key, value);
      return;
    }
    const list = key.slice(0, -2);
    this.#lists.set(list, [...this.list(list), value]);
  }

  /** Removes a setting and everything below it. */
  clear(path: string): void {
    const key = path.toLowerCase();
    for (const map of [this.#values, this.#lists])
      for (const name of map.keys())
        if (name === key || name.startsWith(`${key}::`)) map.delete(name);
  }
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|#(?!clear\b)[^\n]*|"((?:[^"\\\n]|\\.)*)"|(#clear\b)|([{};])|([^\s{};"]+)/g;

/**
 * Reads one configuration file into `config`. Unknown settings are kept; text that is not a setting is skipped, as the
 * host's apt has the last word on its own files.
 */
export function readAptConf(text: string, config: AptConfig): void {
  const scope: string[] = [];
  let words: string[] = [];
  const full = (name: string): string => [...scope, name].filter((s) => s !== '').join('::');
  const flush = (): void => {
    const [name, value] = words;
    if (name === '#clear') for (const target of words.slice(1)) config.clear(full(target));
    else if (name !== undefined) setOne(config, full, { name, value, quoted });
    words = [];
    quoted = false;
  };
  let quoted = false;
  for (const [, string, clear, mark, word] of text.matchAll(TOKEN)) {
    if (string !== undefined) {
      quoted ||= words.length === 0;
      words.push(string.replace(/\\(.)/g, '$1'));
    } else if (clear !== undefined) words.push(clear);
    else if (word !== undefined) words.push(word);
    else if (mark === ';') flush();
    else if (mark === '{') {
      scope.push(words[0] ?? '');
      words = [];
      quoted = false;
    } else if (mark === '}') {
      flush();
      scope.pop();
    }
  }
}

interface Setting {
  readonly name: string;
  readonly value: string | undefined;
  /** The only word was a string: a member of the list that the scope names. */
  readonly quoted: boolean;
}

function setOne(config: AptConfig, full: (name: string) => string, setting: Setting): void {
  const { name, value, quoted } = setting;
  if (value === undefined && quoted) config.set(`${full('')}::`, name);
  else if (value !== undefined) config.set(full(name), value);
}
