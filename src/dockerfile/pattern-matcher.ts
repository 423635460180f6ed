import { err, ok, type Result } from '../base/index.ts';
import { cleanPath } from './clean-path.ts';
import { trimSpace } from './go-text.ts';
import { compilePattern, type PathTest } from './path-pattern.ts';

/** Which patterns a directory matched; handed from a directory to its entries. Empty at the top. */
export type MatchState = readonly boolean[];

/** One pattern, cleaned. */
export interface IgnorePattern {
  /** Without `!`. */
  readonly text: string;
  readonly exclusion: boolean;
}

interface Compiled extends IgnorePattern {
  readonly test: PathTest;
  /** Number of path components in the pattern. */
  readonly depth: number;
}

/**
 * `.dockerignore` patterns (moby/patternmatcher): the last pattern that matches a path or one of its parents decides, `!`
 * takes paths back. Paths are slash separated and relative. Matching never takes more than pattern times path.
 */
export class PatternMatcher {
  readonly patterns: readonly IgnorePattern[];
  /** Whether a pattern starts with `!`. */
  readonly exclusions: boolean;
  readonly #compiled: readonly Compiled[];

  private constructor(compiled: readonly Compiled[]) {
    this.#compiled = compiled;
    this.patterns = compiled.map(({ text, exclusion }) => ({ text, exclusion }));
    this.exclusions = compiled.some((pattern) => pattern.exclusion);
  }

  /** Compiles patterns; the error is the library's text. */
  static create(patterns: readonly string[]): Result<PatternMatcher, string> {
    const compiled: Compiled[] = [];
    for (const written of patterns) {
      const trimmed = trimSpace(written);
      if (trimmed === '') continue;
      const cleaned = cleanPath(trimmed);
      if (cleaned === '!') return err('illegal exclusion pattern: "!"');
      const exclusion = cleaned.startsWith('!');
      const text = exclusion ? cleaned.slice(1) : cleaned;
      const test = compilePattern(text);
      if (!test.ok) return test;
      compiled.push({ text, exclusion, test: test.value, depth: text.split('/').length });
    }
    return ok(new PatternMatcher(compiled));
  }

  /** Considers the path and, for each pattern, the one parent as deep as the pattern (deprecated in the library). */
  matches(path: string): boolean {
    const parents = parentsOf(path);
    return this.#decide((pattern) => {
      const parent = parents[pattern.depth - 1];
      return pattern.test(path) || (parent !== undefined && pattern.test(parent));
    });
  }

  /** Considers the path and all of its parents. */
  matchesOrParentMatches(path: string): boolean {
    const parents = parentsOf(path);
    return this.#decide((pattern) => pattern.test(path) || parents.some(pattern.test));
  }

  /** The same for a walk from the root down: pass the state of the parent directory, `[]` at the top. */
  matchesUsingParent(
    path: string,
    parent: MatchState,
  ): { readonly matched: boolean; readonly state: MatchState } {
    const known = parent.length > 0;
    const parents = known ? [] : parentsOf(path);
    const state: boolean[] = [];
    let matched = false;
    this.#compiled.forEach((pattern, i) => {
      let match = known && parent[i] === true;
      if (!match && pattern.exclusion === matched)
        match = pattern.test(path) || parents.some(pattern.test);
      state.push(match);
      if (match) matched = !pattern.exclusion;
    });
    return { matched, state };
  }

  /** A pattern is tried only where it could change the answer so far. */
  #decide(match: (pattern: Compiled) => boolean): boolean {
    let matched = false;
    for (const pattern of this.#compiled)
      if (pattern.exclusion === matched && match(pattern)) matched = !pattern.exclusion;
    return matched;
  }
}

/** Parent directories from the top down. */
function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1))
    parents.push(path.slice(0, slash));
  return parents;
}
