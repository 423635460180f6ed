import { join } from 'node:path';
import {
  awaitAll,
  err,
  type Failure,
  failure,
  type GoJson,
  goJson,
  hexOf,
  ok,
  type Result,
  redact,
  sha256,
  writeAtomically,
} from '../base/index.ts';
import type { Clock } from '../ports/index.ts';
import { isPrimaryPath, namesIn, type PoolSource, parseDependency } from '../rpm/index.ts';
import {
  encodeLock,
  type LockedSource,
  type RpmRepository,
  type RpmTemplate,
  rpmArchitectures,
  type TemplateLock,
} from '../template/index.ts';
import type { Fetcher } from './http.ts';
import type { ReleaseStore } from './release-store.ts';
import { type ResolveOptions, readMemo } from './resolve-template.ts';
import type { RpmIndexStore } from './rpm-index.ts';
import { type LoadedRepomd, loadRepomd } from './rpm-repository.ts';
import { selectRpms } from './select-rpms.ts';
import { readKeyring } from './signature.ts';

/** What resolving a template of rpm packages needs. */
export interface ResolveRpmDeps {
  readonly fetcher: Fetcher;
  readonly releases: ReleaseStore;
  readonly indexes: RpmIndexStore;
  readonly clock: Clock;
  /** Where locks are remembered. */
  readonly memoDir: string;
}

interface LoadedRepository {
  readonly repository: RpmRepository;
  readonly loaded: LoadedRepomd;
  /** The public keys, ASCII-armoured: packages are checked with them whenever they are used. */
  readonly keys: readonly string[];
}

/** Changed when the same inputs would give another lock. */
const MEMO_FORMAT = 'varve.rpm-lock.v3';

/**
 * Makes every choice that a template of rpm packages leaves open, as `resolveTemplate` does for Debian's: the same template on
 * the same state of the repositories gives the same lock, which is remembered.
 */
export async function resolveRpmTemplate(
  deps: ResolveRpmDeps,
  template: RpmTemplate,
  options: ResolveOptions,
): Promise<Result<TemplateLock>> {
  const architectures = rpmArchitectures(template.architecture ?? options.architecture);
  if (architectures === undefined)
    return err(
      failure(
        'TP006',
        2,
        `rpm has no architecture for ${template.architecture ?? options.architecture}`,
      ),
    );
  if (template.repositories.length === 0) return err(noRepositories(template));
  const repositories = await loadAll(deps, template, options);
  if (!repositories.ok) return repositories;
  const memo = join(deps.memoDir, memoName(template, architectures, repositories.value));
  const known = await readMemo(memo);
  if (known !== undefined) return ok(known);
  const sources = await poolSources(deps, template, { ...options, loaded: repositories.value });
  if (!sources.ok) return sources;
  const chosen = selectRpms(template, sources.value, architectures);
  if (!chosen.ok) return chosen;
  const lock: TemplateLock = {
    version: 1,
    distribution: template.distribution,
    suite: template.release,
    architecture: architectures[0] ?? '',
    sources: repositories.value.map(lockedSource),
    packages: chosen.value.packages,
    aptSources: false,
    files: template.files,
    users: template.users,
    config: template.config,
    rpm: { dbPath: template.dbPath, tools: chosen.value.tools, asked: chosen.value.asked },
  };
  const text = encodeLock(lock);
  await writeAtomically(memo, `${sha256(text)}\n${text}`);
  return ok(lock);
}

function noRepositories({ distribution, release }: RpmTemplate): Failure {
  return failure('TP013', 2, `no repository of ${distribution} ${release} is known`, {
    help: 'name it under packageRepositories, with its address and keys',
  });
}

const lockedSource = ({ repository, loaded, keys }: LoadedRepository): LockedSource => ({
  uri: redact(repository.uri).replace(/\/$/, ''),
  suite: '',
  components: [],
  release: loaded.digest,
  date: loaded.repomd.date,
  signers: loaded.signers,
  keys,
});

async function loadAll(
  deps: ResolveRpmDeps,
  template: RpmTemplate,
  options: ResolveOptions,
): Promise<Result<readonly LoadedRepository[]>> {
  const results = await awaitAll(
    template.repositories.map(async (repository) => await loadOne(deps, repository, options)),
  );
  const loaded: LoadedRepository[] = [];
  for (const result of results) {
    if (!result.ok) return result;
    loaded.push(result.value);
  }
  return ok(loaded);
}

async function loadOne(
  deps: ResolveRpmDeps,
  repository: RpmRepository,
  options: ResolveOptions,
): Promise<Result<LoadedRepository>> {
  const keyring = await readKeyring(repository.keys);
  if (!keyring.ok) return keyring;
  const loaded = await loadRepomd(
    deps,
    {
      uri: repository.uri,
      keyring: keyring.value,
      refresh: options.refresh,
      warn: options.warn,
      ...(repository.maxAgeDays === undefined ? {} : { maxAgeDays: repository.maxAgeDays }),
    },
    options.signal,
  );
  if (!loaded.ok) return loaded;
  if (loaded.value.repomd.files.some((f) => f.type === 'modules'))
    options.warn(
      `${redact(repository.uri)} has modules, whose streams are not known here: packages are chosen by version; leave out what you do not want with "exclude"`,
    );
  const keys = keyring.value.keys.map((key) => key.armor());
  return ok({ repository, loaded: loaded.value, keys });
}

async function poolSources(
  deps: ResolveRpmDeps,
  template: RpmTemplate,
  options: ResolveOptions & { readonly loaded: readonly LoadedRepository[] },
): Promise<Result<readonly PoolSource[]>> {
  const { loaded, refresh, signal } = options;
  const requests = loaded.map(({ repository, loaded: { repomd } }) => ({
    ...{ uri: repository.uri, repomd, offline: refresh === 'never', signal },
  }));
  const results = await awaitAll(requests.map(async (r) => await deps.indexes.packages(r)));
  const sources: PoolSource[] = [];
  for (const [i, result] of results.entries()) {
    if (!result.ok) return result;
    sources.push({ records: result.value, priority: loaded[i]?.repository.priority ?? 0 });
  }
  const wanted = unlistedPaths(template, sources);
  if (wanted.size === 0) return ok(sources);
  const owners = await awaitAll(requests.map(async (r) => await deps.indexes.owners(r, wanted)));
  const complete: PoolSource[] = [];
  for (const [i, found] of owners.entries()) {
    if (!found.ok) return found;
    const source = sources[i];
    if (source !== undefined) complete.push({ ...source, extraFiles: found.value });
  }
  return ok(complete);
}

/** Paths that something depends on and that only the complete lists of files can tell of. */
function unlistedPaths(template: RpmTemplate, sources: readonly PoolSource[]): ReadonlySet<string> {
  const wanted = new Set<string>();
  const offered = new Set<string>();
  const add = (path: string): void => {
    if (path.startsWith('/') && !isPrimaryPath(path)) wanted.add(path);
  };
  for (const wish of template.packages) add(wish.name);
  for (const { records } of sources)
    for (const record of records) {
      for (const text of record.provides) if (text.startsWith('/')) offered.add(text);
      for (const list of LISTS)
        for (const text of record[list]) {
          if (!text.includes('/')) continue;
          const parsed = parseDependency(text);
          if (parsed !== undefined) for (const { name } of namesIn(parsed)) add(name);
        }
    }
  return new Set([...wanted].filter((path) => !offered.has(path)));
}

const LISTS = ['requires', 'conflicts', 'recommends', 'supplements'] as const;

/** Everything the choice depends on: the template without its text, and what the repositories signed. */
function memoName(
  template: RpmTemplate,
  architectures: readonly string[],
  repositories: readonly LoadedRepository[],
): string {
  const { file: _file, packages, ...rest } = template;
  const states = repositories.map(({ loaded, keys }) => [loaded.digest, [...keys]]);
  const wishes = packages.map((p) => [p.name, p.version ?? '']);
  // A template holds only JSON values; its interface has no index signature to say so.
  const asJson = rest as unknown as GoJson;
  return hexOf(sha256(goJson([MEMO_FORMAT, asJson, wishes, [...architectures], states])));
}
