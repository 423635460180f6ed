import { err, failure, ok, type Result } from '../base/index.ts';
import { type MatchState, PatternMatcher, pathMatch } from '../dockerfile/index.ts';

/** What the filter says of one path, and the state to hand to its entries when it is a directory. */
export interface Verdict {
  /** The path itself is wanted. A directory that is not may still hold wanted entries. */
  readonly wanted: boolean;
  /** Nothing below a directory can be wanted: it need not be read. */
  readonly prune: boolean;
  readonly state: FilterState;
}

/** State of a directory for its entries. */
export interface FilterState {
  readonly include: MatchState;
  readonly exclude: MatchState;
}

/** The state at the top. */
export const TOP: FilterState = { include: [], exclude: [] };

/** Decides which paths of a context are part of it: include patterns first, then `.dockerignore` patterns. */
export interface PathFilter {
  judge(path: string, parent: FilterState): Verdict;
}

/** Makes a filter of pattern lists; `includes` undefined means everything. */
export function createPathFilter(
  includes: readonly string[] | undefined,
  excludes: readonly string[],
): Result<PathFilter> {
  const include = includes === undefined ? undefined : PatternMatcher.create(includes);
  if (include?.ok === false) return patternFailure('include', include.error);
  const exclude = excludes.length === 0 ? undefined : PatternMatcher.create(excludes);
  if (exclude?.ok === false) return patternFailure('.dockerignore', exclude.error);
  return ok(new Filter(include?.value, exclude?.value));
}

function patternFailure(what: string, why: string): Result<never> {
  return err(
    failure('CX004', 2, `${what} pattern: ${why}`, { help: 'write the pattern as in .gitignore' }),
  );
}

class Filter implements PathFilter {
  readonly #include: PatternMatcher | undefined;
  readonly #exclude: PatternMatcher | undefined;
  readonly #includePaths: readonly (readonly string[])[];
  readonly #exceptionPaths: readonly (readonly string[])[];

  constructor(include: PatternMatcher | undefined, exclude: PatternMatcher | undefined) {
    this.#include = include;
    this.#exclude = exclude;
    this.#includePaths = componentsOf(include?.patterns.filter((p) => !p.exclusion));
    this.#exceptionPaths = componentsOf(exclude?.patterns.filter((p) => p.exclusion));
  }

  judge(path: string, parent: FilterState): Verdict {
    let wanted = true;
    let prune = false;
    let include: MatchState = parent.include;
    let exclude: MatchState = parent.exclude;
    if (this.#include !== undefined) {
      const match = this.#include.matchesUsingParent(path, parent.include);
      include = match.state;
      if (!match.matched) {
        wanted = false;
        prune = !mayMatchBelow(path, this.#includePaths);
      }
    }
    if (this.#exclude !== undefined) {
      const match = this.#exclude.matchesUsingParent(path, parent.exclude);
      exclude = match.state;
      if (match.matched) {
        wanted = false;
        prune ||= !mayMatchBelow(path, this.#exceptionPaths);
      }
    }
    return { wanted, prune, state: { include, exclude } };
  }
}

function componentsOf(
  patterns: readonly { readonly text: string }[] | undefined,
): readonly (readonly string[])[] {
  return (patterns ?? []).map((p) => p.text.replace(/^!/, '').replace(/^\//, '').split('/'));
}

/** Whether a pattern could match something below the directory `path`: its first components match, or `**` comes first. */
function mayMatchBelow(path: string, patterns: readonly (readonly string[])[]): boolean {
  const parts = path.split('/');
  return patterns.some((pattern) => {
    for (const [i, part] of parts.entries()) {
      const component = pattern[i];
      // The pattern ends above: it matches a parent, and with it everything below.
      if (component === undefined) return true;
      if (component.includes('**') || component.includes('\\')) return true;
      if (component !== part) {
        const match = pathMatch(component, part);
        if (match.ok && !match.value) return false;
      }
    }
    return true;
  });
}
