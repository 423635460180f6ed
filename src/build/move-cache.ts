import { err, failure, ok, type Result } from '../base/index.ts';
import { createBlobDownload, createBlobFetcher, createMaterializer } from '../ops/index.ts';
import type { RecordId } from '../ports/index.ts';
import { openCacheRemote } from './cache-remotes.ts';
import { checkSigners } from './cache-signing.ts';
import type { SourceReport } from './cache-sources.ts';
import type { BuildDeps } from './deps.ts';
import { exportCaches } from './export-cache.ts';
import { exportMounts } from './export-mounts.ts';
import { importCaches } from './import-caches.ts';
import { importedTraces } from './import-traces.ts';
import { isRemembered, rememberMountPlace } from './mount-places.ts';
import type { MountUse } from './mount-use.ts';
import { planBuild } from './plan.ts';
import type { BuildRequest, CacheSource, CacheTarget } from './request.ts';
import { notInStore, solveCached } from './solve-cached.ts';

/** What of a store is exported. */
export type ExportedPart =
  /** Everything that the store has a result of. */
  | { readonly kind: 'all'; readonly records: readonly RecordId[] }
  /** What a build of this request would take out of the store. */
  | { readonly kind: 'request'; readonly request: BuildRequest }
  /** The steps of a build of the history. */
  | {
      readonly kind: 'build';
      readonly id: string;
      /** Records of the store that have a result, with their digests. */
      readonly records: readonly { readonly record: RecordId; readonly digest: string }[];
    };

/** Writes a part of the store to every target, without a build: keys, layers, and cache mounts where they are wanted. */
export async function exportStore(
  part: ExportedPart,
  targets: readonly CacheTarget[],
  work: { readonly deps: BuildDeps; readonly signal: AbortSignal },
): Promise<Result<{ readonly records: number }>> {
  const { deps, signal } = work;
  const signers = await checkSigners(targets, deps.clock);
  if (!signers.ok) return signers;
  const found = await recordsOf(part, deps, signal);
  if (!found.ok) return found;
  const { records, mounts } = found.value;
  if (records.length === 0 && targets.every(({ mounts: wanted }) => wanted !== true))
    return err(
      failure('RC042', 2, 'the store has no cached step that could be exported', {
        help: 'build something first',
      }),
    );
  const report = { ...deps, signal };
  if (records.length > 0) {
    const exported = await exportCaches(
      {
        ...deps,
        fetchBlob: createBlobFetcher(deps),
        materialise: createMaterializer(deps),
        openRemote: (place) => openCacheRemote(deps, place),
        download: createBlobDownload(deps),
      },
      { records, targets },
      report,
    );
    if (!exported.ok) return exported;
  }
  const stored = await exportMounts(deps, { targets, wanted: mounts }, report);
  return stored.ok ? ok({ records: records.length }) : stored;
}

async function recordsOf(
  part: ExportedPart,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<
  Result<{
    readonly records: readonly RecordId[];
    /** Undefined: every cache mount of the store. */
    readonly mounts: readonly MountUse[] | undefined;
  }>
> {
  switch (part.kind) {
    case 'all':
      return ok({ records: part.records, mounts: undefined });
    case 'build': {
      const keys = new Set<string>(
        deps.history.steps(part.id).flatMap(({ decision }) => decision?.key ?? []),
      );
      const records = part.records.filter(({ digest }) => keys.has(digest));
      return ok({ records: records.map(({ record }) => record), mounts: undefined });
    }
    case 'request': {
      const planned = await planBuild(part.request, deps, signal);
      if (!planned.ok) return planned;
      if (planned.value.some((step) => step.state === 'run')) return notInStore(planned.value);
      const cached = await solveCached(part.request, deps, signal);
      return cached.ok ? ok(cached.value) : cached;
    }
  }
}

/**
 * Brings the keys of caches into the store, so that later builds find their results without naming them; layers stay where
 * they are until a step needs them. Unlike in a build, it is a failure when one is refused or none can be read.
 */
export async function importStore(
  sources: readonly CacheSource[],
  work: { readonly deps: BuildDeps; readonly signal: AbortSignal },
): Promise<Result<readonly SourceReport[]>> {
  const { deps, signal } = work;
  const service = sources.find((each) => each.mounts === true && !isRemembered(each));
  if (service !== undefined)
    return err(
      failure('RC023', 2, `cache mounts of type=${service.kind} cannot be remembered`, {
        help: 'name it in the build: --cache-from …,mounts=true',
      }),
    );
  const elsewhere = importedTraces(deps);
  const imported = await importCaches({ ...deps, elsewhere }, sources, { ...deps, signal });
  if (!imported.ok) return imported;
  await elsewhere.bring(signal);
  const reports = imported.value.report();
  const refused = reports.find(({ state }) => state === 'refused');
  // Scopes that are fallen back to need not all be there.
  const unread =
    refused ?? (reports.some(({ state }) => state === 'read') ? undefined : reports[0]);
  if (unread !== undefined)
    return err(
      failure('RC043', 3, `the cache ${unread.source} was not imported: ${unread.why ?? ''}`),
    );
  for (const source of sources) if (source.mounts === true) rememberMountPlace(deps, source);
  return ok(reports);
}
