import { err, failure, ok, type Result } from '../../base/index.ts';
import { scopeMatches } from '../../remotes/index.ts';
import type { CacheSpec } from './cache-type.ts';

/** Variable with the scopes that this machine's builds may write, whatever their flags say. */
export const RIGHTS_VARIABLE = 'VARVE_CACHE_RIGHTS';

/** The scopes of a run of GitHub Actions or GitLab CI. */
export interface CiScopes {
  /** What the run may write: never the scope of another branch, whatever a pull request calls its own. */
  readonly own: string;
  /** What it reads besides, the nearest first. */
  readonly fallback: readonly string[];
}

/** The scopes that the environment tells of; undefined outside of a known CI. */
export function ciScopes(env: CacheSpec['io']['env']): CiScopes | undefined {
  const value = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const main = value('VARVE_CACHE_MAIN') ?? value('CI_DEFAULT_BRANCH') ?? 'main';
  const ref = value('GITHUB_REF');
  if (ref !== undefined) {
    const pull = /^refs\/pull\/(\d+)\//.exec(ref)?.[1];
    const own = pull === undefined ? ref.replace(/^refs\/(?:heads|tags)\//, '') : `pull/${pull}`;
    const kind = ref.startsWith('refs/tags/') ? 'tag/' : '';
    const near = [value('GITHUB_HEAD_REF'), value('GITHUB_BASE_REF')];
    return scopes(`${kind}${own}`, pull === undefined ? [main] : [...near, main]);
  }
  const request = value('CI_MERGE_REQUEST_IID');
  if (request !== undefined) {
    const near = [
      value('CI_MERGE_REQUEST_SOURCE_BRANCH_NAME') ?? value('CI_COMMIT_REF_NAME'),
      value('CI_MERGE_REQUEST_TARGET_BRANCH_NAME'),
    ];
    return scopes(`pull/${request}`, [...near, main]);
  }
  const name = value('CI_COMMIT_REF_NAME');
  if (name === undefined) return undefined;
  const own = value('CI_COMMIT_TAG') === undefined ? name : `tag/${name}`;
  return scopes(own, [main]);
}

function scopes(own: string, others: readonly (string | undefined)[]): CiScopes {
  const fallback = new Set(others.filter((other) => other !== undefined && other !== own));
  // The filter left names only; the set keeps its element type.
  return { own, fallback: [...fallback] as string[] };
}

/** `scope=NAME[,fallback=NAME;NAME]` or `scope=auto` of a `--cache-from`: scopes to read, the nearest first. */
export function scopesToRead(spec: CacheSpec): Result<readonly string[] | undefined> {
  const { map, io, refuse } = spec;
  const given = map.get('scope');
  const fallback = map.has('fallback') ? listOf(map.get('fallback')) : undefined;
  if (given === undefined)
    return fallback === undefined ? ok(undefined) : refuse('fallback needs scope');
  if (given === '') return refuse('scope is empty', 'write scope=NAME or scope=auto');
  if (given !== 'auto') return ok([...new Set([given, ...(fallback ?? [])])]);
  const ci = ciScopes(io.env);
  if (ci === undefined) return refuse(NO_CI, 'write scope=NAME');
  return ok([...new Set([ci.own, ...(fallback ?? ci.fallback)])]);
}

const NO_CI = 'scope=auto needs the environment of GitHub Actions or GitLab CI';

/**
 * The scope that a `--cache-to` writes. Without `rights=` and `VARVE_CACHE_RIGHTS` a run in CI may write a scope only when it
 * is its own; with them every export has to name a scope that both allow.
 */
export function scopeToWrite(spec: CacheSpec): Result<string | undefined> {
  const { map, io, refuse } = spec;
  const given = map.get('scope');
  const ci = ciScopes(io.env);
  if (given === '') return refuse('scope is empty', 'write scope=NAME or scope=auto');
  if (given === 'auto' && ci === undefined) return refuse(NO_CI, 'write scope=NAME');
  const scope = given === 'auto' ? ci?.own : given;
  const said = [map.get('rights'), io.env[RIGHTS_VARIABLE]].filter((text) => text !== undefined);
  const rights = said.length > 0 ? said.map(listOf) : given === undefined ? [] : ownOnly(ci);
  for (const allowed of rights) {
    if (scope === undefined)
      return denied(`no scope is named, and only ${shown(allowed)} may be written`);
    if (!scopeMatches(scope, allowed))
      return denied(
        `the scope "${scope}" may not be written: this build may write ${shown(allowed)}`,
      );
  }
  return ok(scope);
}

function ownOnly(ci: CiScopes | undefined): readonly (readonly string[])[] {
  return ci === undefined ? [] : [[ci.own]];
}

function denied(why: string): Result<never> {
  return err(
    failure('RC032', 2, `--cache-to: ${why}`, {
      help: `write scope=auto for the scope of this build; rights=… or ${RIGHTS_VARIABLE} say what a build may write`,
    }),
  );
}

/** Names between semicolons. */
export function listOf(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(';')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

const shown = (names: readonly string[]): string =>
  names.length === 0 ? 'no scope' : names.map((name) => `"${name}"`).join(', ');
