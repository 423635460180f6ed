import { type Failure, ok, type Result, sha256 } from '../base/index.ts';
import type { CacheRemote } from '../ports/index.ts';
import { importGraph, readCache } from '../remotes/index.ts';
import { openCacheRemote } from './cache-remotes.ts';
import type { BuildDeps } from './deps.ts';
import { internalStep, type StepReport } from './internal-step.ts';
import { rememberCacheOrigin } from './lost-layers.ts';
import type { CachePlace } from './request.ts';

type ImportDeps = Pick<BuildDeps, 'cache' | 'content' | 'memo' | 'openLayout' | 'registry'>;

/**
 * Brings the keys of every given cache into the store. A cache that is not there yet, or that cannot be read, is no reason
 * to fail: it is said, and the steps run.
 */
export async function importCaches(
  deps: ImportDeps,
  places: readonly CachePlace[],
  report: StepReport & { readonly signal: AbortSignal },
): Promise<Result<void>> {
  const remotes: CacheRemote[] = [];
  for (const place of places) {
    const remote = openCacheRemote(deps, place);
    if (!remote.ok) return remote;
    remotes.push(remote.value);
  }
  const imports: Promise<void>[] = [];
  for (const remote of remotes) {
    // Read at once, entered in turn: the first one given is the preferred one.
    imports.push(importCache(deps, remote, { ...report, turn: imports.at(-1) }));
  }
  await Promise.all(imports);
  return ok(undefined);
}

async function importCache(
  deps: ImportDeps,
  remote: CacheRemote,
  report: StepReport & {
    readonly signal: AbortSignal;
    readonly turn: Promise<void> | undefined;
  },
): Promise<void> {
  const name = `importing cache manifest from ${remote.name}`;
  await internalStep(report, name, async (step) => {
    const read = await readCache(remote, { signal: report.signal });
    await report.turn;
    if (!read.ok) {
      report.emit(unusable(name, read.error, remote));
      return ok(undefined);
    }
    rememberCacheOrigin(deps.memo, remote.origin);
    for (const graph of read.value) {
      const { records, results } = importGraph(deps.cache, graph, remote.origin);
      step.done(`${records} keys and ${results} results`);
    }
    return ok(undefined);
  });
}

function unusable(
  vertex: string,
  why: Failure,
  remote: CacheRemote,
): Parameters<StepReport['emit']>[0] {
  return {
    type: 'warning',
    vertex: sha256(vertex),
    rule: 'CacheImport',
    message: `the cache ${remote.name} is not used: ${why.message}`,
    detail: [
      'steps that only this cache knows are run; a cache that was never exported is no fault',
    ],
  };
}
