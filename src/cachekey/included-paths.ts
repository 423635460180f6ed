import { err, ok, type Result } from '../base/index.ts';
import { type MatchState, PatternMatcher, pathMatch } from '../dockerfile/index.ts';
import type { FileTree, FileType } from './file-tree.ts';
import { resolveInTree } from './resolve.ts';
import { type ContentSelector, cleanRooted, hasWildcard } from './selector.ts';

/** An entry that a filtered selector includes. */
export interface IncludedPath {
  /** The path as the selector sees it. */
  readonly path: string;
  /** The path in the tree: `path` with the symbolic links of the selector's prefix resolved. */
  readonly real: string;
  readonly type: FileType;
  /** The wildcard matched this very path, not one above it. */
  readonly direct: boolean;
}

interface Candidate extends IncludedPath {
  readonly include: MatchState;
  readonly exclude: MatchState;
  taken: boolean;
}

/**
 * The entries that a selector with wildcards or patterns includes, in the order of the tree's keys, with the directories
 * above each of them (BuildKit cache/contenthash/checksum.go, `includedPaths`).
 */
export function includedPaths(
  tree: FileTree,
  selector: ContentSelector,
): Result<{ readonly prefix: string; readonly paths: readonly IncludedPath[] }, string> {
  const walk = Walk.create(tree, selector);
  return walk.ok ? walk.value.run() : walk;
}

class Walk {
  readonly #tree: FileTree;
  readonly #selector: ContentSelector;
  /** The selector's path, `''` for the root. */
  readonly #path: string;
  readonly #includes: PatternMatcher | undefined;
  readonly #excludes: PatternMatcher | undefined;
  readonly #found: Candidate[] = [];
  #lastMatched = '';
  #problem: string | undefined;

  private constructor(
    tree: FileTree,
    selector: ContentSelector,
    matchers: { readonly includes?: PatternMatcher; readonly excludes?: PatternMatcher },
  ) {
    this.#tree = tree;
    this.#selector = selector;
    const clean = cleanRooted(selector.path);
    this.#path = clean === '/' ? '' : clean;
    this.#includes = matchers.includes;
    this.#excludes = matchers.excludes;
  }

  static create(tree: FileTree, selector: ContentSelector): Result<Walk, string> {
    const { includePatterns = [], excludePatterns = [] } = selector;
    const includes =
      includePatterns.length > 0 ? PatternMatcher.create(includePatterns) : undefined;
    if (includes?.ok === false) return err(`invalid includepatterns: ${includes.error}`);
    const excludes =
      excludePatterns.length > 0 ? PatternMatcher.create(excludePatterns) : undefined;
    if (excludes?.ok === false) return err(`invalid excludepatterns: ${excludes.error}`);
    return ok(
      new Walk(tree, selector, {
        ...(includes === undefined ? {} : { includes: includes.value }),
        ...(excludes === undefined ? {} : { excludes: excludes.value }),
      }),
    );
  }

  run(): Result<{ readonly prefix: string; readonly paths: readonly IncludedPath[] }, string> {
    const wildcard = this.#selector.wildcard === true;
    const prefix = wildcard ? fixedPrefix(this.#path) : this.#path;
    const start = resolveInTree(this.#tree, prefix, { last: wildcard });
    if (!start.ok) return start;
    if (start.value.entry !== undefined) {
      const real = start.value.path === '/' ? '' : start.value.path;
      this.#visit(prefix, real, []);
    }
    if (this.#problem !== undefined) return err(this.#problem);
    const missing = this.#missing();
    if (missing !== undefined) return err(`"${missing}": not found`);
    return ok({ prefix, paths: this.#found });
  }

  /** Visits an entry, then what is below it. `parents` are the directory headers above it. */
  #visit(path: string, real: string, parents: readonly Candidate[]): void {
    const entry = this.#tree.lstat(real === '' ? '/' : real);
    if (entry === undefined || this.#problem !== undefined) return;
    const relative = this.#relative(path);
    const isDir = entry.type === 'dir';
    let below = parents;
    if (relative !== undefined && !(isDir && path === this.#path && this.#endsInSlash())) {
      const parent = parents.at(-1);
      const included = this.#match(relative, parent);
      const candidate: Candidate = {
        path,
        real: real === '' ? '/' : real,
        type: entry.type,
        direct: this.#lastMatched === path,
        include: included.include,
        exclude: included.exclude,
        taken: false,
      };
      if (included.matched) this.#take(candidate, parents);
      if (isDir) below = [...parents, candidate];
    }
    if (!isDir) return;
    for (const name of this.#tree.list(real === '' ? '/' : real))
      this.#visit(`${path}/${name}`, `${real}/${name}`, below);
  }

  #endsInSlash(): boolean {
    return this.#selector.path.endsWith('/');
  }

  /** The path as the patterns see it, or undefined when the wildcard does not reach it. */
  #relative(path: string): string | undefined {
    if (this.#selector.wildcard !== true) return strip(path, this.#path);
    if (
      this.#path !== '' &&
      (this.#lastMatched === '' || !path.startsWith(`${this.#lastMatched}/`))
    ) {
      const match = pathMatch(this.#path, path);
      if (!match.ok) this.#problem = match.error;
      if (!match.ok || !match.value) return undefined;
      this.#lastMatched = path;
    }
    return strip(path, this.#lastMatched);
  }

  #match(
    relative: string,
    parent: Candidate | undefined,
  ): { readonly matched: boolean; readonly include: MatchState; readonly exclude: MatchState } {
    const include = this.#includes?.matchesUsingParent(relative, parent?.include ?? []);
    if (include?.matched === false) return { matched: false, include: include.state, exclude: [] };
    const exclude = this.#excludes?.matchesUsingParent(relative, parent?.exclude ?? []);
    return {
      matched: exclude?.matched !== true,
      include: include?.state ?? [],
      exclude: exclude?.state ?? [],
    };
  }

  #take(candidate: Candidate, parents: readonly Candidate[]): void {
    for (const parent of parents) {
      if (parent.taken) continue;
      parent.taken = true;
      this.#found.push(parent);
    }
    candidate.taken = true;
    this.#found.push(candidate);
  }

  /** The first required path that is not there; required paths start at the root of the tree. */
  #missing(): string | undefined {
    return this.#selector.requiredPaths?.find((required) => {
      if (!required.startsWith('/')) return true;
      const found = resolveInTree(this.#tree, required, { last: true });
      return !found.ok || found.value.entry === undefined;
    });
  }
}

/** `path` without the directory `base`. */
function strip(path: string, base: string): string {
  const whole = `${path}/`;
  const rest = whole.startsWith(`${base}/`) ? whole.slice(base.length + 1) : whole;
  return rest.replace(/\/$/, '');
}

/** The leading components of a pattern that hold no wildcard. */
function fixedPrefix(pattern: string): string {
  const parts = pattern.split('/').slice(1);
  const first = parts.findIndex(hasWildcard);
  const fixed = first === -1 ? parts : parts.slice(0, first);
  return fixed.map((p) => `/${p}`).join('');
}
