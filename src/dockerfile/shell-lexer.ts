import type { Result } from '../base/index.ts';
import type { Environment, ExpandOptions } from './expand.ts';
import { isDigit, isNameCharacter } from './shell-names.ts';
import { replacePattern, trimPattern } from './shell-pattern.ts';
import type { WordSplitter } from './word-splitter.ts';

/** Substitutions nested deeper than this are refused; BuildKit has no limit but its stack. */
const MAX_DEPTH = 500;
const MAX_REPLACED = 4 << 20; // characters of one text

/** What Go prints for "no character". */
const NO_CHAR = '\ufffd';

const SPECIAL_PARAMETERS = '@*#?-$!0';
/** Text without a character that has a meaning, outside of quotes and in double quotes. */
const ORDINARY = /[^$<'"\\`}/]+/y;
const QUOTED = /[^$"\\`]+/y;

const DANGLING = 'unexpected end of statement while looking for matching';

/**
 * One pass over a word. Methods that fail return undefined and leave the text in `error`.
 */
export class ShellLexer {
  readonly matched = new Set<string>();
  readonly unmatched = new Set<string>();
  error = '';
  readonly #text: string;
  readonly #env: Environment;
  readonly #options: ExpandOptions;
  readonly #escape: string;
  readonly #splitter: WordSplitter | undefined;
  #at = 0;
  #replaced = 0;
  #depth = 0;
  #rawEscapes: boolean;

  /** `splitter` collects the words, where they are wanted. */
  constructor(text: string, env: Environment, options: ExpandOptions, splitter?: WordSplitter) {
    // Go's scanner drops a byte-order mark at the start.
    this.#text = text.startsWith('\ufeff') ? text.slice(1) : text;
    this.#env = env;
    this.#options = options;
    this.#escape = options.escapeToken ?? '\\';
    this.#rawEscapes = options.rawEscapes ?? false;
    this.#splitter = splitter;
  }

  /** The processed text. */
  run(): string | undefined {
    return this.#until(undefined);
  }

  #peek(): string {
    const code = this.#text.charCodeAt(this.#at);
    const isPair = code >= 0xd800 && code <= 0xdbff;
    return isPair
      ? String.fromCodePoint(this.#text.codePointAt(this.#at) ?? code)
      : this.#text.charAt(this.#at);
  }

  #next(): string {
    const char = this.#peek();
    this.#at += char.length;
    return char;
  }

  get #atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  #fail(message: string): string | undefined {
    this.error = message;
    return undefined;
  }

  /** Up to a stop character, or to the end. Words are split at the outermost level only. */
  #until(stop: '}' | '/' | undefined): string | undefined {
    const outer = stop === undefined;
    let result = '';
    while (!this.#atEnd) {
      const char = this.#peek();
      if (char === stop) {
        this.#at++;
        return result;
      }
      const special = this.#special(char);
      if (special !== undefined) {
        if (special.value === undefined) return undefined;
        result += special.value;
        if (outer && char === '$') this.#splitter?.addSplitting(special.value);
        else if (outer) this.#splitter?.addWhole(special.value);
        continue;
      }
      result += this.#plain(outer);
    }
    return stop === undefined ? result : this.#fail(`${DANGLING} ${stop}`);
  }

  /** What a character with a meaning stands for; undefined when it has none. */
  #special(char: string): { readonly value: string | undefined } | undefined {
    if (char === '$') return { value: this.#dollar() };
    if (char === '<') return { value: this.#possibleHeredoc() };
    if (this.#options.skipProcessQuotes === true) return undefined;
    if (char === "'") return { value: this.#singleQuoted() };
    if (char === '"') return { value: this.#doubleQuoted() };
    return undefined;
  }

  /** Ordinary characters up to the next that may have a meaning, or an escaped one. */
  #plain(outer: boolean): string {
    const run = this.#ordinary();
    if (run !== '') {
      if (outer) this.#splitter?.addSplitting(run);
      return run;
    }
    const char = this.#next();
    if (char !== this.#escape) {
      if (outer) this.#splitter?.addSplitting(char);
      return char;
    }
    const kept = this.#rawEscapes ? char : '';
    const escaped = kept + this.#next();
    if (outer && escaped !== '') this.#splitter?.addWhole(escaped);
    return escaped;
  }

  #ordinary(): string {
    ORDINARY.lastIndex = this.#at;
    if (!ORDINARY.test(this.#text)) return '';
    const start = this.#at;
    this.#at = ORDINARY.lastIndex;
    return this.#text.slice(start, this.#at);
  }

  #singleQuoted(): string | undefined {
    const close = this.#text.indexOf("'", this.#at + 1);
    if (close === -1) return this.#fail(`${DANGLING} single-quote`);
    const raw = this.#text.slice(this.#at, close + 1);
    this.#at = close + 1;
    return this.#options.rawQuotes === true ? raw : raw.slice(1, -1);
  }

  #doubleQuoted(): string | undefined {
    const quote = this.#options.rawQuotes === true ? '"' : '';
    this.#at++;
    let result = quote;
    while (!this.#atEnd) {
      const start = this.#at;
      QUOTED.lastIndex = start;
      if (QUOTED.test(this.#text)) {
        this.#at = QUOTED.lastIndex;
        result += this.#text.slice(start, this.#at);
        continue;
      }
      const char = this.#peek();
      if (char === '"') {
        this.#at++;
        return result + quote;
      }
      if (char === '$') {
        const value = this.#dollar();
        if (value === undefined) return undefined;
        result += value;
        continue;
      }
      this.#at += char.length;
      result += char === this.#escape ? this.#escapedInQuotes() : char;
    }
    return this.#fail(`${DANGLING} double-quote`);
  }

  /** Behind an escape character in double quotes: only `"`, `$` and itself can be escaped. */
  #escapedInQuotes(): string {
    const kept = this.#rawEscapes ? this.#escape : '';
    const char = this.#peek();
    if (char === '') return kept;
    if (char === '"' || char === '$' || char === this.#escape) return kept + this.#next();
    return kept + this.#escape;
  }

  /** `<<` and the blanks behind it, so that `<< EOF` stays one word. */
  #possibleHeredoc(): string {
    const found = /<(?:<[\t\r ]*)?/y;
    found.lastIndex = this.#at;
    const text = found.exec(this.#text)?.[0] ?? '<';
    this.#at += text.length;
    return text;
  }

  /** A substitution; what all of a text are replaced by is limited, since values made of values grow without end. */
  #dollar(): string | undefined {
    const value = this.#substitution();
    this.#replaced += value?.length ?? 0;
    if (this.#replaced <= MAX_REPLACED) return value;
    return this.#fail(`variables stand for more than ${MAX_REPLACED} characters`);
  }

  #substitution(): string | undefined {
    this.#at++;
    if (this.#peek() !== '{') {
      const name = this.#name();
      if (name === '') return '$';
      const value = this.#lookUp(name);
      return value ?? (this.#options.skipUnsetEnv === true ? `$${name}` : '');
    }
    this.#at++;
    if (this.#depth >= MAX_DEPTH)
      return this.#fail(`syntax error: substitutions nested deeper than ${MAX_DEPTH}`);
    this.#depth++;
    const value = this.#braces();
    this.#depth--;
    return value;
  }

  /** Behind `${`. */
  #braces(): string | undefined {
    const first = this.#peek();
    if (first === '') return this.#fail("syntax error: missing '}'");
    if (first === '{' || first === '}' || first === ':')
      return this.#fail('syntax error: bad substitution');
    const name = this.#name();
    const char = this.#next();
    switch (char) {
      case '}': {
        const value = this.#lookUp(name);
        return value ?? (this.#options.skipUnsetEnv === true ? `\${${name}}` : '');
      }
      case ':':
        return this.#modifier(name, this.#next(), true);
      case '+':
      case '-':
      case '?':
      case '#':
      case '%':
        return this.#modifier(name, char, false);
      case '/':
        return this.#replace(name);
      default:
        return this.#fail(unsupported(char === '' ? NO_CHAR : char));
    }
  }

  #modifier(name: string, modifier: string, nullIsUnset: boolean): string | undefined {
    const written = `${nullIsUnset ? ':' : ''}${modifier === '' ? NO_CHAR : modifier}`;
    const trims = modifier === '#' || modifier === '%';
    if (nullIsUnset && trims) return this.#fail(unsupported(written));
    const word = this.#inner('}', trims, "syntax error: missing '}'");
    if (word === undefined) return undefined;
    const value = this.#lookUp(name);
    if (value === undefined && this.#options.skipUnsetEnv === true)
      return `\${${name}${written}${word}}`;
    const isSet = value !== undefined && !(nullIsUnset && value === '');
    switch (modifier) {
      case '-':
        return isSet ? value : word;
      case '+':
        return isSet ? word : '';
      case '?':
        return isSet ? value : this.#required(name, word, value);
      case '#':
      case '%':
        return this.#done(trimPattern(value ?? '', word, modifier));
      default:
        return this.#fail(unsupported(written));
    }
  }

  #required(name: string, word: string, value: string | undefined): string | undefined {
    const fallback = `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`;
    return this.#fail(`${name}: ${word === '' ? fallback : word}`);
  }

  /** `/pattern/text` and `//pattern/text`. */
  #replace(name: string): string | undefined {
    const all = this.#peek() === '/';
    if (all) this.#at++;
    const pattern = this.#inner('/', true, "syntax error: missing '/' in ${}");
    if (pattern === undefined) return undefined;
    const replacement = this.#inner('}', true, "syntax error: missing '}'");
    if (replacement === undefined) return undefined;
    const value = this.#lookUp(name);
    if (value === undefined && this.#options.skipUnsetEnv === true)
      return `\${${name}/${pattern}/${replacement}}`;
    return this.#done(replacePattern(value ?? '', { pattern, replacement, all }));
  }

  #done(result: Result<string, string>): string | undefined {
    return result.ok ? result.value : this.#fail(result.error);
  }

  /** A word inside a substitution; `missing` is the error when the text ends before it does. */
  #inner(stop: '}' | '/', rawEscapes: boolean, missing: string): string | undefined {
    const saved = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    this.#splitter?.forgetWord();
    const word = this.#until(stop);
    this.#rawEscapes = saved;
    return word === undefined && this.#atEnd ? this.#fail(missing) : word;
  }

  #name(): string {
    const first = this.#peek();
    if (isDigit(first)) return this.#while(isDigit);
    if (first !== '' && SPECIAL_PARAMETERS.includes(first)) return this.#next();
    return this.#while(isNameCharacter);
  }

  #while(belongs: (char: string) => boolean): string {
    const start = this.#at;
    for (let char = this.#peek(); belongs(char); char = this.#peek()) this.#at += char.length;
    return this.#text.slice(start, this.#at);
  }

  #lookUp(name: string): string | undefined {
    const value = this.#env.get(name);
    (value === undefined ? this.unmatched : this.matched).add(name);
    return value;
  }
}

const unsupported = (modifier: string): string =>
  `unsupported modifier (${modifier}) in substitution`;
