import type { Result } from '../base/index.ts';

/** Which patterns a directory matched; handed from a directory to its entries. */
export type MatchState = readonly boolean[];

/** `.dockerignore` patterns (moby/patternmatcher). Paths are slash separated and relative. */
export class PatternMatcher {
  static create(_patterns: readonly string[]): Result<PatternMatcher, string> {
    throw new Error('not written yet');
  }
  /** Whether a pattern starts with `!`. */
  readonly exclusions: boolean = false;
  readonly patterns: readonly { readonly text: string; readonly exclusion: boolean }[] = [];
  /** Considers the path and, for each pattern, one of its parents (the deprecated way, for comparison only). */
  matches(_path: string): boolean {
    throw new Error('not written yet');
  }
  /** Considers the path and all of its parents. */
  matchesOrParentMatches(_path: string): boolean {
    throw new Error('not written yet');
  }
  /** The same for a walk from the root down: pass the state of the parent directory, `[]` at the top. */
  matchesUsingParent(_path: string, _parent: MatchState): { matched: boolean; state: MatchState } {
    throw new Error('not written yet');
  }
}
/** The patterns of a `.dockerignore`. */
export function readIgnoreFile(_text: string): Result<readonly string[], string> {
  throw new Error('not written yet');
}
