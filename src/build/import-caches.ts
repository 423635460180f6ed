import { type Failure, ok, type Result, sha256 } from '../base/index.ts';
import type { CacheRemote, LayerIndexes } from '../ports/index.ts';
import { importGraph, readCache } from '../remotes/index.ts';
import { openCacheRemote } from './cache-remotes.ts';
import { ImportedSources, sourceName } from './cache-sources.ts';
import type { BuildDeps } from './deps.ts';
import { internalStep, type StepReport } from './internal-step.ts';
import { rememberCacheOrigin } from './lost-layers.ts';
import type { CacheSource } from './request.ts';

type ImportDeps = Pick<
  BuildDeps,
  'cache' | 'content' | 'memo' | 'openLayout' | 'origins' | 'registry'
> & {
  /** Told of the file indexes that a cache has. */
  readonly indexes?: LayerIndexes;
};

/** One cache that is read. */
interface Reading {
  readonly place: CacheSource;
  readonly remote: CacheRemote;
  readonly source: string;
}

/**
 * Brings the keys of every given cache into the store. A cache that is not there yet, or that cannot be read, is no reason
 * to fail: it is said, and the steps run.
 */
export async function importCaches(
  deps: ImportDeps,
  places: readonly CacheSource[],
  report: StepReport & { readonly signal: AbortSignal },
): Promise<Result<ImportedSources>> {
  const sources = new ImportedSources();
  const readings: Reading[] = [];
  for (const place of places) {
    const remote = openCacheRemote(deps, place);
    if (!remote.ok) return remote;
    const source = sourceName(place, remote.value);
    sources.add(source);
    readings.push({ place, remote: metered(remote.value, sources, source), source });
  }
  const imports: Promise<void>[] = [];
  for (const reading of readings) {
    // Read at once, entered in turn: the first one given is the preferred one.
    imports.push(importCache(deps, reading, { ...report, sources, turn: imports.at(-1) }));
  }
  await Promise.all(imports);
  return ok(sources);
}

async function importCache(
  deps: ImportDeps,
  { remote, source }: Reading,
  report: StepReport & {
    readonly signal: AbortSignal;
    readonly sources: ImportedSources;
    readonly turn: Promise<void> | undefined;
  },
): Promise<void> {
  const name = `importing cache manifest from ${remote.name}`;
  const { sources } = report;
  await internalStep(report, name, async (step) => {
    const read = await readCache(remote, { signal: report.signal });
    await report.turn;
    if (!read.ok) {
      sources.unused(source, 'unread', read.error);
      report.emit(unusable(name, read.error, remote));
      return ok(undefined);
    }
    rememberCacheOrigin(deps.memo, remote.origin);
    for (const graph of read.value) {
      const { origin } = remote;
      deps.indexes?.offer(origin, graph.fileIndexes ?? []);
      const imported = importGraph(deps.cache, graph, { origin, source, claims: sources.claims });
      sources.entered(source, imported);
      step.done(`${imported.records} keys and ${imported.results} results`);
    }
    return ok(undefined);
  });
}

/** A remote that counts what is read of it. */
function metered(remote: CacheRemote, sources: ImportedSources, source: string): CacheRemote {
  const count = (read: Result<Uint8Array>): Result<Uint8Array> => {
    if (read.ok) sources.read(source, read.value.length);
    return read;
  };
  return {
    ...remote,
    ...(remote.further === undefined
      ? {}
      : {
          further: async (...args) => {
            const found = (await remote.further?.(...args)) ?? ok(undefined);
            if (found.ok && found.value !== undefined) sources.read(source, found.value.length);
            return found;
          },
        }),
    manifest: async (...args) => count(await remote.manifest(...args)),
    read: async (...args) => count(await remote.read(...args)),
  };
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
