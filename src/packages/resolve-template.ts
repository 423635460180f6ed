import { join } from 'node:path';
import {
  awaitAll,
  err,
  failure,
  type GoJson,
  goJson,
  hexOf,
  ok,
  type Result,
  readIfThere,
  redact,
  sha256,
  writeAtomically,
} from '../base/index.ts';
import type { Clock } from '../ports/index.ts';
import {
  encodeLock,
  lockOf,
  parseLock,
  type Template,
  type TemplateLock,
} from '../template/index.ts';
import type { HostApt } from './host-apt.ts';
import type { Fetcher } from './http.ts';
import type { IndexStore } from './index-store.ts';
import type { ReleaseStore } from './release-store.ts';
import { type LoadedRelease, loadRelease, type RefreshPolicy } from './repository.ts';
import { selectPackages } from './select.ts';
import { planSuites, type SuitePlan } from './suites.ts';
import type { UniverseIndex } from './universe.ts';

/** What resolving needs. */
export interface ResolveDeps {
  readonly fetcher: Fetcher;
  readonly releases: ReleaseStore;
  readonly indexes: IndexStore;
  readonly host: HostApt;
  readonly clock: Clock;
  /** Where locks are remembered. */
  readonly memoDir: string;
}

/** How to resolve a template. */
export interface ResolveOptions {
  /** Debian's architecture name; used when the template names none. */
  readonly architecture: string;
  readonly refresh: RefreshPolicy;
  /** Told what is doubtful but accepted. */
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

interface LoadedSuite {
  readonly plan: SuitePlan;
  readonly loaded: LoadedRelease;
}

/** Changed when the same inputs would give another lock. */
const MEMO_FORMAT = 'varve.lock.v2';

/**
 * Makes every choice that a template leaves open: the mirrors' current state (verified), then the packages. The same
 * template on the same state of the mirrors gives the same lock, which is remembered: while no Release file changes, no
 * index is opened.
 */
export async function resolveTemplate(
  deps: ResolveDeps,
  template: Template,
  options: ResolveOptions,
): Promise<Result<TemplateLock>> {
  const architecture = template.architecture ?? options.architecture;
  const suites = await loadSuites(deps, template, options);
  if (!suites.ok) return suites;
  const memo = join(deps.memoDir, memoName(template, architecture, suites.value));
  const known = await readMemo(memo);
  if (known !== undefined) return ok(known);
  const indexes = await loadIndexes(deps, suites.value, { ...options, architecture });
  if (!indexes.ok) return indexes;
  const packages = selectPackages(template, indexes.value, architecture);
  if (!packages.ok) return packages;
  const lock = lockOf(template, {
    architecture,
    sources: suites.value.map(({ plan, loaded }) => ({
      uri: redact(plan.uri).replace(/\/$/, ''),
      suite: plan.suite,
      components: plan.components,
      release: loaded.digest,
      date: loaded.release.date,
      signers: loaded.signers,
    })),
    packages: packages.value,
  });
  const text = encodeLock(lock);
  await writeAtomically(memo, `${sha256(text)}\n${text}`);
  return ok(lock);
}

async function loadSuites(
  deps: ResolveDeps,
  template: Template,
  options: ResolveOptions,
): Promise<Result<readonly LoadedSuite[]>> {
  const plans = await planSuites(template, deps.host);
  if (!plans.ok) return plans;
  const notAfter = template.snapshot === undefined ? undefined : snapshotTime(template.snapshot);
  const results = await awaitAll(
    plans.value.map(async (plan) => ({
      plan,
      result: await loadRelease(
        deps,
        {
          ...plan,
          refresh: options.refresh,
          warn: options.warn,
          ...(notAfter === undefined ? {} : { notAfter }),
        },
        options.signal,
      ),
    })),
  );
  const suites: LoadedSuite[] = [];
  for (const { plan, result } of results) {
    if (!result.ok) return result;
    const origin = result.value.release.origin?.toLowerCase();
    if (plan.fromHost && origin !== template.distribution)
      options.warn(
        `${redact(plan.uri)} ${plan.suite} is of ${origin ?? 'no distribution'}, not of ${template.distribution}: left out`,
      );
    else suites.push({ plan, loaded: result.value });
  }
  return suites.length > 0
    ? ok(suites)
    : err(
        failure(
          'PK001',
          2,
          `no source of this machine is of the distribution ${template.distribution}`,
          {
            help: 'name a repository under "mirrors:"',
          },
        ),
      );
}

async function loadIndexes(
  deps: ResolveDeps,
  suites: readonly LoadedSuite[],
  options: ResolveOptions,
): Promise<Result<readonly UniverseIndex[]>> {
  const wanted = suites.flatMap((suite, source) =>
    suite.plan.components.flatMap((component) =>
      [options.architecture, ...(suite.loaded.release.separateAll ? ['all'] : [])].map(
        (architecture) => ({ suite, source, component, architecture }),
      ),
    ),
  );
  const results = await awaitAll(
    wanted.map(async ({ suite, source, component, architecture }) => ({
      suite,
      source,
      index: await deps.indexes.load({
        uri: suite.plan.uri,
        suite: suite.plan.suite,
        release: suite.loaded.release,
        component,
        architecture,
        offline: options.refresh === 'never',
        signal: options.signal,
      }),
    })),
  );
  const indexes: UniverseIndex[] = [];
  for (const { suite, source, index } of results) {
    if (!index.ok) return index;
    indexes.push({
      index: index.value,
      source,
      suite: suite.plan.suite,
      priority: pinOf(suite),
    });
  }
  return ok(indexes);
}

/** `NotAutomatic` releases are for those who ask for them (apt_preferences(5), "APT's Default Priority Assignments"). */
function pinOf({ plan, loaded }: LoadedSuite): number {
  if (plan.priority !== 500 || !loaded.release.notAutomatic) return plan.priority;
  return loaded.release.butAutomaticUpgrades ? 100 : 1;
}

/** Everything the choice depends on: the template without its text, and what the mirrors signed. */
function memoName(
  template: Template,
  architecture: string,
  suites: readonly LoadedSuite[],
): string {
  const { file: _file, packages, ...rest } = template;
  const states = suites.map(({ plan, loaded }) => [
    plan.uri,
    plan.suite,
    plan.components,
    plan.priority,
    loaded.digest,
  ]);
  const wishes = packages.map((p) => [p.name, p.version ?? '', p.suite ?? '']);
  // A template holds only JSON values; its interface has no index signature to say so.
  const asJson = rest as unknown as GoJson;
  return hexOf(sha256(goJson([MEMO_FORMAT, asJson, wishes, architecture, states])));
}

/** A remembered lock, when the digest in its first line holds. */
export async function readMemo(path: string): Promise<TemplateLock | undefined> {
  const text = (await readIfThere(path))?.toString('utf8');
  if (text === undefined) return undefined;
  const newline = text.indexOf('\n');
  if (text.slice(0, newline) !== sha256(text.slice(newline + 1))) return undefined;
  const lock = parseLock(text.slice(newline + 1));
  return lock.ok ? lock.value : undefined;
}

/** Seconds of `20260131T000000Z`. */
function snapshotTime(text: string): number {
  const [year, month, day, hour, minute, second] = [0, 4, 6, 9, 11, 13].map((at, i) =>
    Number(text.slice(at, at + (i === 0 ? 4 : 2))),
  );
  return (
    Date.UTC(year ?? 0, (month ?? 1) - 1, day ?? 1, hour ?? 0, minute ?? 0, second ?? 0) / 1000
  );
}
