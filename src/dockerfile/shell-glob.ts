import { err, ok, type Result } from '../base/index.ts';

type Token =
  | { readonly kind: 'char'; readonly char: string }
  /** Any one character but a line feed. */
  | { readonly kind: 'any' }
  /** Any number of characters but line feeds. */
  | { readonly kind: 'star' };

/**
 * A shell pattern of `${name#pattern}` and its relatives: `*`, `?` and escaped characters, no brackets. Matching takes
 * time proportional to text times pattern, whatever the pattern.
 */
export class Glob {
  readonly #tokens: readonly Token[];

  private constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The error is BuildKit's text. */
  static parse(pattern: string): Result<Glob, string> {
    const tokens: Token[] = [];
    const chars = Array.from(pattern);
    for (let i = 0; i < chars.length; i++) {
      const char = chars[i] ?? '';
      if (char === '*') {
        if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' });
      } else if (char === '?') tokens.push({ kind: 'any' });
      else if (char === '\\' && chars[i + 1] !== '}' && chars[i + 1] !== '/') {
        const escaped = chars[++i];
        if (escaped !== '*' && escaped !== '?' && escaped !== '\\')
          return err(`invalid escape '\\${escaped ?? '\ufffd'}'`);
        tokens.push({ kind: 'char', char: escaped });
      } else if (char !== '\\') tokens.push({ kind: 'char', char });
    }
    return ok(new Glob(tokens));
  }

  /** `text` without what matches at its start. */
  trimPrefix(text: string, options: { readonly longest: boolean }): string {
    const chars = Array.from(text);
    const end = this.#matchAt(chars, 0, options.longest);
    return end === undefined ? text : chars.slice(end).join('');
  }

  /** Replaces the first longest match by the text as it is. */
  replaceFirst(text: string, replacement: string): string {
    const chars = Array.from(text);
    const start = this.#starts(chars).indexOf(1);
    const end = start === -1 ? undefined : this.#matchAt(chars, start, true);
    if (end === undefined) return text;
    return chars.slice(0, start).join('') + replacement + chars.slice(end).join('');
  }

  /** Replaces all matches; `$` in the replacement means what it means to Go's `Regexp.ReplaceAllString`. */
  replaceAll(text: string, replacement: string): string {
    const chars = Array.from(text);
    const starts = this.#starts(chars);
    const template = compileTemplate(replacement);
    let result = '';
    let copied = 0;
    for (let at = starts.indexOf(1); at !== -1; ) {
      const end = this.#matchAt(chars, at, true) ?? at;
      result += chars.slice(copied, at).join('');
      // An empty match directly behind a match does not count.
      if (end > copied || at === 0) result += template(chars.slice(at, end).join(''));
      copied = end;
      at = starts.indexOf(1, Math.max(at + 1, end));
    }
    return result + chars.slice(copied).join('');
  }

  /** Where a match that starts at `from` ends: the shortest or the longest. */
  #matchAt(chars: readonly string[], from: number, longest: boolean): number | undefined {
    const tokens = this.#tokens;
    let active = this.#closure([0]);
    let found: number | undefined;
    for (let at = from; ; at++) {
      if (active.includes(tokens.length)) {
        if (!longest) return at;
        found = at;
      }
      const char = chars[at];
      if (char === undefined || active.length === 0) return found;
      const next: number[] = [];
      for (const state of active) {
        const token = tokens[state];
        if (token === undefined || !accepts(token, char)) continue;
        next.push(token.kind === 'star' ? state : state + 1);
      }
      active = this.#closure(next);
    }
  }

  /** The states with those reached over stars that match nothing, each once, in order. */
  #closure(states: readonly number[]): number[] {
    const reached: number[] = [];
    for (let state of states) {
      while (reached.at(-1) !== state) {
        if ((reached.at(-1) ?? -1) > state) break;
        reached.push(state);
        if (this.#tokens[state]?.kind !== 'star') break;
        state++;
      }
    }
    return reached;
  }

  /** For each position 1 when a match starts there, 0 otherwise. */
  #starts(chars: readonly string[]): Uint8Array {
    const tokens = this.#tokens;
    const starts = new Uint8Array(chars.length + 1);
    // after[j]: tokens from j on match at the position to the right; behind the last token everything matches.
    let after = new Uint8Array(tokens.length + 1);
    for (let at = chars.length; at >= 0; at--) {
      const char = chars[at];
      const here = new Uint8Array(tokens.length + 1);
      here[tokens.length] = 1;
      for (let j = tokens.length - 1; j >= 0; j--) {
        const token = tokens[j];
        if (token === undefined) continue;
        const eats = char !== undefined && accepts(token, char);
        if (token.kind === 'star') here[j] = (here[j + 1] ?? 0) | (eats ? (after[j] ?? 0) : 0);
        else here[j] = eats ? (after[j + 1] ?? 0) : 0;
      }
      starts[at] = here[0] ?? 0;
      after = here;
    }
    return starts;
  }
}

const accepts = (token: Token, char: string): boolean =>
  token.kind === 'char' ? token.char === char : char !== '\n';

/** `$0` and `${0}` are the match, `$$` a dollar, other names nothing; a `$` without a name stays. */
function compileTemplate(template: string): (match: string) => string {
  if (!template.includes('$')) return () => template;
  const reference = /\$(?:\$|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu;
  return (match) =>
    template.replace(reference, (whole, name?: string, braced?: string) => {
      if (whole === '$$') return '$';
      return /^0+$/.test(name ?? braced ?? '') ? match : '';
    });
}
