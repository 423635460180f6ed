import {
  awaitAll,
  err,
  type Failure,
  isDiskFailure,
  ok,
  type Result,
  sha256,
} from '../base/index.ts';
import { type Descriptor, FILE_INDEX_MEDIA_TYPE } from '../oci/index.ts';
import type { CacheRemote, LayerIndexes } from '../ports/index.ts';
import {
  type CacheLack,
  cacheSubject,
  importGraph,
  type ReadOptions,
  readCache,
} from '../remotes/index.ts';
import { openCacheRemote } from './cache-remotes.ts';
import { openTrust } from './cache-signing.ts';
import { ImportedSources, sourceName } from './cache-sources.ts';
import type { BuildDeps } from './deps.ts';
import type { ImportedTraces } from './import-traces.ts';
import { offerImage } from './inline-indexes.ts';
import { internalStep, type StepReport } from './internal-step.ts';
import { rememberCacheOrigin } from './lost-layers.ts';
import type { CacheSource } from './request.ts';

type ImportDeps = Pick<
  BuildDeps,
  'cache' | 'content' | 'memo' | 'openLayout' | 'origins' | 'registry'
> & {
  /** Told of the file indexes that a cache has. */
  readonly indexes?: LayerIndexes;
  /** Told of what it knows of the executions behind its records. */
  readonly elsewhere?: ImportedTraces;
};

/** One cache that is read. */
interface Reading {
  readonly place: CacheSource;
  readonly remote: CacheRemote;
  readonly source: string;
  readonly refuse?: NonNullable<ReadOptions['refuse']>;
}

/**
 * Brings the keys of every given cache into the store. A cache that is not there yet, or that cannot be read, is no reason
 * to fail: it is said, and the steps run. That it cannot be written here is one: the next build would come to other bytes.
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
    const trust = await openTrust(place, report.clock);
    if (!trust.ok) return trust;
    const check = trust.value;
    sources.add(source, { signed: place.trust !== undefined });
    readings.push({
      ...{ place, source, remote: metered(remote.value, sources, source) },
      ...(check === undefined
        ? {}
        : { refuse: (graph, signature) => check(() => cacheSubject(graph), signature) }),
    });
  }
  const imports: Promise<Result<void>>[] = [];
  for (const reading of readings) {
    // Read at once, entered in turn: the first one given is the preferred one.
    imports.push(importCache(deps, reading, { ...report, sources, turn: imports.at(-1) }));
  }
  const failed = (await awaitAll(imports)).find((each) => !each.ok);
  return failed?.ok === false ? failed : ok(sources);
}

async function importCache(
  deps: ImportDeps,
  { place, remote, source, refuse }: Reading,
  report: StepReport & {
    readonly signal: AbortSignal;
    readonly sources: ImportedSources;
    readonly turn: Promise<unknown> | undefined;
  },
): Promise<Result<void>> {
  const name = `importing cache manifest from ${remote.name}`;
  const { sources } = report;
  return await internalStep(report, name, async (step) => {
    const parts: Failure[] = [];
    const read = await readCache(remote, {
      signal: report.signal,
      ...(refuse === undefined ? {} : { refuse }),
      onPart: (why) => parts.push(why),
      onLack: (lack) => report.emit(lacking(name, lack, remote.name)),
    });
    await report.turn;
    const refused = [...(read.ok ? [] : [read.error]), ...parts].find(isRefusal);
    if (refused !== undefined && place.trust?.strict === true)
      return err({
        ...refused,
        message: `the cache ${remote.name} is refused: ${refused.message}`,
      });
    if (!read.ok && isDiskFailure(read.error)) return err(read.error);
    if (!read.ok) {
      sources.unused(source, refused === undefined ? 'unread' : 'refused', read.error);
      report.emit(unusable(name, read.error, `the cache ${remote.name}`));
      return ok(undefined);
    }
    for (const part of parts) report.emit(unusable(name, part, `an export in ${remote.name}`));
    rememberCacheOrigin(deps.memo, remote.origin);
    for (const graph of read.value) {
      const { origin } = remote;
      deps.indexes?.offer(origin, (graph.attachments ?? []).filter(isFileIndex));
      if (graph.image !== undefined) offerImage(deps.indexes, origin, graph.image);
      const imported = importGraph(deps.cache, graph, { origin, source, claims: sources.claims });
      deps.elsewhere?.offer(remote, graph, imported.ids);
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
    ...(remote.manifests === undefined
      ? {}
      : {
          manifests: async (...args) => ((await remote.manifests?.(...args)) ?? []).map(count),
        }),
    manifest: async (...args) => count(await remote.manifest(...args)),
    read: async (...args) => count(await remote.read(...args)),
  };
}

function lacking(
  vertex: string,
  { layers, results }: CacheLack,
  cache: string,
): Parameters<StepReport['emit']>[0] {
  const [first = ''] = layers;
  const what =
    layers.length === 1 ? `layer ${first}` : `${layers.length} layers, among them ${first}`;
  return {
    type: 'warning',
    vertex: sha256(vertex),
    rule: 'CacheImport',
    message: `${results} ${results === 1 ? 'result' : 'results'} of the cache ${cache} cannot be used: it lacks ${what}`,
    detail: ['a layer that is missing, or of another size, is written again by the next export'],
  };
}

const isFileIndex = ({ mediaType }: Descriptor): boolean => mediaType === FILE_INDEX_MEDIA_TYPE;

/** Whether a cache was readable but not to be trusted. */
const isRefusal = ({ code }: Failure): boolean => code === 'RC030';

function unusable(vertex: string, why: Failure, what: string): Parameters<StepReport['emit']>[0] {
  return {
    type: 'warning',
    vertex: sha256(vertex),
    rule: 'CacheImport',
    message: `${what} is not used: ${why.message}`,
    detail: [
      'steps that only this cache knows are run; a cache that was never exported is no fault',
    ],
  };
}
