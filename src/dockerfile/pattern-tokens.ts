/** A range of code points, both inclusive. */
export type CodeRange = readonly [low: number, high: number];

/** Part of a pattern; `many` repeats its class any number of times. */
export type Token =
  | { readonly kind: 'char'; readonly char: string }
  | {
      readonly kind: 'one' | 'many';
      readonly negated: boolean;
      readonly ranges: readonly CodeRange[];
    }
  /** Any number of leading directories, also none. */
  | { readonly kind: 'dirs' }
  /** A `^` in the pattern: the library does not escape it, so it asks for the start of the path. */
  | { readonly kind: 'start' };

/** How a pattern is matched. */
export interface ParsedPattern {
  readonly tokens: readonly Token[];
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'general';
}

interface Class {
  readonly negated: boolean;
  readonly ranges: readonly CodeRange[];
}

const code = (char: string): number => char.codePointAt(0) ?? 0;
const range = (low: string, high: string): CodeRange => [code(low), code(high)];
const NOT_SLASH: Class = { negated: true, ranges: [range('/', '/')] };
const NOT_NEWLINE: Class = { negated: true, ranges: [range('\n', '\n')] };

const DIGIT = [range('0', '9')];
const SPACE = [range('\t', '\n'), range('\f', '\r'), range(' ', ' ')];
const WORD = [range('0', '9'), range('A', 'Z'), range('_', '_'), range('a', 'z')];

/** Escapes that mean a class to Go's regular expressions, into which the library turns `\d` and the like unchanged. */
const CLASSES: ReadonlyMap<string, Class> = new Map([
  ['d', { negated: false, ranges: DIGIT }],
  ['D', { negated: true, ranges: DIGIT }],
  ['s', { negated: false, ranges: SPACE }],
  ['S', { negated: true, ranges: SPACE }],
  ['w', { negated: false, ranges: WORD }],
  ['W', { negated: true, ranges: WORD }],
]);

const CONTROLS: ReadonlyMap<string, string> = new Map([
  ['a', '\u0007'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

/**
 * Reads a pattern of an ignore file. Undefined where the library's regular expression does not compile. Which kind a
 * pattern is follows the library, whose short cuts decide: a `**` at the start with nothing but plain characters behind
 * it compares the end of the path.
 */
export function parseTokens(pattern: string): ParsedPattern | undefined {
  return new PatternReader(Array.from(pattern)).read();
}

class PatternReader {
  readonly #chars: readonly string[];
  readonly #tokens: Token[] = [];
  #kind: ParsedPattern['kind'] = 'exact';
  #at = 0;

  constructor(chars: readonly string[]) {
    this.#chars = chars;
  }

  read(): ParsedPattern | undefined {
    while (this.#at < this.#chars.length) if (!this.#token()) return undefined;
    return { tokens: this.#tokens, kind: this.#kind };
  }

  /** False when the pattern does not compile. */
  #token(): boolean {
    const first = this.#at === 0;
    const char = this.#chars[this.#at++] ?? '';
    switch (char) {
      case '*':
        if (this.#chars[this.#at] === '*') this.#doubleStar(first);
        else this.#general({ kind: 'many', ...NOT_SLASH });
        return true;
      case '?':
        return this.#general({ kind: 'one', ...NOT_SLASH });
      case '[':
        return this.#class();
      case '\\':
        return this.#escape();
      case '^':
        this.#tokens.push({ kind: 'start' });
        return true;
      case ']':
        return this.#general({ kind: 'char', char });
      default:
        this.#tokens.push({ kind: 'char', char });
        return true;
    }
  }

  #general(token: Token): true {
    this.#tokens.push(token);
    this.#kind = 'general';
    return true;
  }

  #doubleStar(first: boolean): void {
    this.#at++;
    if (this.#chars[this.#at] === '/') this.#at++;
    if (this.#at < this.#chars.length) this.#general({ kind: 'dirs' });
    else if (this.#kind === 'exact') this.#kind = 'prefix';
    else this.#general({ kind: 'many', ...NOT_NEWLINE });
    if (first) this.#kind = 'suffix';
  }

  #escape(): boolean {
    const char = this.#chars[this.#at++];
    if (char === undefined) return false;
    const known = CLASSES.get(char);
    if (known !== undefined) return this.#general({ kind: 'one', ...known });
    const literal = escapedChar(char);
    return literal !== undefined && this.#general({ kind: 'char', char: literal });
  }

  /** A class as Go's regular expressions read it, after the library has escaped some characters in it. */
  #class(): boolean {
    const negated = this.#chars[this.#at] === '^';
    if (negated) this.#at++;
    const ranges: CodeRange[] = [];
    for (let first = true; this.#chars[this.#at] !== ']' || first; first = false) {
      const low = this.#classChar();
      if (low === undefined) return false;
      const isRange = this.#chars[this.#at] === '-' && this.#chars[this.#at + 1] !== ']';
      if (isRange) this.#at++;
      const high = isRange ? this.#classChar() : low;
      if (high === undefined || code(high) < code(low)) return false;
      ranges.push(range(low, high));
    }
    this.#at++;
    return this.#general({ kind: 'one', negated, ranges });
  }

  #classChar(): string | undefined {
    const char = this.#chars[this.#at++];
    if (char !== '\\') return char;
    const escaped = this.#chars[this.#at++];
    return escaped === undefined ? undefined : escapedChar(escaped);
  }
}

/** What `\` and a character mean to Go's regular expressions; undefined when that is an error. */
function escapedChar(char: string): string | undefined {
  const control = CONTROLS.get(char);
  if (control !== undefined) return control;
  return /^[A-Za-z0-9]$/.test(char) || code(char) >= 0x80 ? undefined : char;
}
