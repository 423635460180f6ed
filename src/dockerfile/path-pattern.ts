import { err, ok, type Result } from '../base/index.ts';
import { pathMatch } from './path-match.ts';
import { type CodeRange, parseTokens, type Token } from './pattern-tokens.ts';

/** Whether a path matches. */
export type PathTest = (path: string) => boolean;

const BAD_PATTERN = 'syntax error in pattern';

/** A pattern with more repetitions than this is simulated instead of given to the backtracking engine. */
const MAX_BACKTRACKING = 2;

/**
 * Compiles one cleaned pattern of an ignore file the way moby/patternmatcher reads it. The limit decides how it is
 * matched, never what it matches.
 */
export function compilePattern(
  pattern: string,
  maxBacktracking = MAX_BACKTRACKING,
): Result<PathTest, string> {
  const valid = pathMatch(pattern, '.');
  if (!valid.ok) return valid;
  const parsed = parseTokens(pattern);
  if (parsed === undefined) return err(BAD_PATTERN);
  const { tokens, kind } = parsed;
  switch (kind) {
    case 'exact':
      return ok((path) => path === pattern);
    case 'prefix': {
      const prefix = pattern.slice(0, -2);
      return ok((path) => path.startsWith(prefix));
    }
    case 'suffix': {
      const suffix = pattern.slice(2);
      return ok(
        (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1)),
      );
    }
    case 'general':
      return ok(compileTokens(tokens, maxBacktracking));
  }
}

function compileTokens(tokens: readonly Token[], maxBacktracking: number): PathTest {
  const repetitions = tokens.filter((token) => token.kind === 'many' || token.kind === 'dirs');
  if (repetitions.length > maxBacktracking) return (path) => simulate(tokens, path);
  const regex = new RegExp(`^${tokens.map(regexSource).join('')}$`, 'u');
  return (path) => regex.test(path);
}

function regexSource(token: Token): string {
  switch (token.kind) {
    case 'char':
      return `\\u{${(token.char.codePointAt(0) ?? 0).toString(16)}}`;
    case 'one':
      return classSource(token.ranges, token.negated);
    case 'many':
      return `${classSource(token.ranges, token.negated)}*`;
    case 'dirs':
      return '(?:[^\\n]*/)?';
    case 'start':
      return '^';
  }
}

function classSource(ranges: readonly CodeRange[], negated: boolean): string {
  const point = (code: number): string => `\\u{${code.toString(16)}}`;
  return `[${negated ? '^' : ''}${ranges.map(([low, high]) => `${point(low)}-${point(high)}`).join('')}]`;
}

/** All ways at once: the set of tokens that may come next after each character. */
function simulate(tokens: readonly Token[], path: string): boolean {
  let active = new Uint8Array(tokens.length + 1);
  enter(tokens, active, 0, true);
  for (const char of path) {
    const next = new Uint8Array(tokens.length + 1);
    tokens.forEach((token, i) => {
      if (active[i] === 1) step(tokens, next, { token, at: i, char });
    });
    active = next;
  }
  return active[tokens.length] === 1;
}

interface Step {
  readonly token: Token;
  readonly at: number;
  readonly char: string;
}

function step(tokens: readonly Token[], next: Uint8Array, { token, at, char }: Step): void {
  switch (token.kind) {
    case 'char':
      if (token.char === char) enter(tokens, next, at + 1, false);
      return;
    case 'one':
      if (inClass(token, char)) enter(tokens, next, at + 1, false);
      return;
    case 'many':
      if (inClass(token, char)) enter(tokens, next, at, false);
      return;
    case 'dirs':
      // Inside `(.*/)?`: anything keeps it open, a slash may also end it.
      if (char !== '\n') next[at] = 1;
      if (char === '/') enter(tokens, next, at + 1, false);
      return;
    case 'start':
      return;
  }
}

/** Marks a token as next, and those behind it where it may match nothing. */
function enter(tokens: readonly Token[], states: Uint8Array, from: number, atStart: boolean): void {
  for (let at = from; states[at] !== 1 || at === from; at++) {
    states[at] = 1;
    const kind = tokens[at]?.kind;
    const optional = kind === 'many' || kind === 'dirs' || (kind === 'start' && atStart);
    if (!optional) return;
  }
}

function inClass(
  { ranges, negated }: { readonly ranges: readonly CodeRange[]; readonly negated: boolean },
  char: string,
): boolean {
  const code = char.codePointAt(0) ?? 0;
  return negated !== ranges.some(([low, high]) => low <= code && code <= high);
}
