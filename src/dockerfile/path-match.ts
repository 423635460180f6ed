import { err, ok, type Result } from '../base/index.ts';

type Token =
  | { readonly kind: 'char'; readonly char: string }
  /** One character but `/`. */
  | { readonly kind: 'any' }
  /** Any number of characters but `/`. */
  | { readonly kind: 'star' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly CharRange[] };

interface CharRange {
  readonly low: number;
  readonly high: number;
}

const BAD_PATTERN = 'syntax error in pattern';

/**
 * Go's `path.Match`: `*` and `?` do not match `/`, `[...]` and `[^...]` are character classes, `\` escapes. Takes time
 * proportional to pattern times name at worst. The error is `syntax error in pattern`, whatever the name.
 */
export function pathMatch(pattern: string, name: string): Result<boolean, string> {
  const tokens = parsePattern(pattern);
  return tokens === undefined ? err(BAD_PATTERN) : ok(matches(tokens, Array.from(name)));
}

/** Two pointers: after a mismatch only the last star takes one more character. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let [at, next] = [0, 0];
  let star: { readonly next: number; at: number } | undefined;
  while (at < name.length || next < tokens.length) {
    const token = tokens[next];
    const char = name[at];
    if (token?.kind === 'star') {
      next++;
      star = { next, at };
    } else if (token !== undefined && char !== undefined && accepts(token, char)) {
      next++;
      at++;
    } else if (star !== undefined && star.at < name.length && name[star.at] !== '/') {
      star.at++;
      at = star.at;
      next = star.next;
    } else return false;
  }
  return true;
}

function accepts(token: Exclude<Token, { readonly kind: 'star' }>, char: string): boolean {
  switch (token.kind) {
    case 'char':
      return token.char === char;
    case 'any':
      return char !== '/';
    case 'class': {
      const code = char.codePointAt(0) ?? 0;
      return token.negated !== token.ranges.some(({ low, high }) => low <= code && code <= high);
    }
  }
}

/** Undefined for a malformed pattern. */
function parsePattern(pattern: string): Token[] | undefined {
  const chars = Array.from(pattern);
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? '';
    if (char === '*') tokens.push({ kind: 'star' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else if (char === '[') {
      const found = parseClass(chars, at + 1);
      if (found === undefined) return undefined;
      tokens.push(found.token);
      at = found.end;
    } else if (char === '\\') {
      const escaped = chars[++at];
      if (escaped === undefined) return undefined;
      tokens.push({ kind: 'char', char: escaped });
    } else tokens.push({ kind: 'char', char });
  }
  return tokens;
}

/** The class behind `[`; `end` is the index of its `]`. */
function parseClass(
  chars: readonly string[],
  start: number,
): { readonly token: Token; readonly end: number } | undefined {
  const negated = chars[start] === '^';
  const ranges: CharRange[] = [];
  let at = negated ? start + 1 : start;
  while (chars[at] !== ']' || ranges.length === 0) {
    const low = classChar(chars, at);
    if (low === undefined) return undefined;
    at = low.next;
    const high = chars[at] === '-' ? classChar(chars, at + 1) : low;
    if (high === undefined) return undefined;
    at = high.next;
    ranges.push({ low: low.code, high: high.code });
  }
  return { token: { kind: 'class', negated, ranges }, end: at };
}

/** A character of a class; something must follow it. */
function classChar(
  chars: readonly string[],
  at: number,
): { readonly code: number; readonly next: number } | undefined {
  const escaped = chars[at] === '\\';
  const char = chars[escaped ? at + 1 : at];
  const next = at + (escaped ? 2 : 1);
  if (char === undefined || next >= chars.length) return undefined;
  if (!escaped && (char === '-' || char === ']')) return undefined;
  return { code: char.codePointAt(0) ?? 0, next };
}
