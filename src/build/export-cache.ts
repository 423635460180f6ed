import { awaitAll, type Failure, ok, type Result, Semaphore, sha256 } from '../base/index.ts';
import {
  type ExportContext,
  type FileIndexBlob,
  goTime,
  type ImageDeps,
  type LayerBlob,
  layerBlob,
} from '../image/index.ts';
import { layerCompression, layerMediaType } from '../oci/index.ts';
import type {
  CacheDb,
  CacheRemote,
  LayerChain,
  LayerId,
  Lease,
  Leases,
  RecordId,
  TraceDb,
} from '../ports/index.ts';
import {
  ATTACHMENTS_MEMBER,
  attachmentsText,
  CACHE_CONFIG_MEDIA_TYPE,
  type CacheGraph,
  cacheConfigText,
  cacheSubject,
  encodeCacheConfig,
  encodeCacheManifest,
  encodeInlineCache,
  type GraphLayer,
  MAX_CACHE_CONFIG_BYTES,
  SIGNATURE_MEMBER,
  withMember,
} from '../remotes/index.ts';
import { type ExportedRecord, exportRecords } from '../solve/index.ts';
import { openSigner, type Signer } from './cache-signing.ts';
import {
  exportedIndexes,
  type IndexExportDeps,
  layerChains,
  writeIndex,
} from './export-indexes.ts';
import { exportedTraces } from './export-traces.ts';
import { heldRecords } from './held-records.ts';
import { internalVertex, type StepReport } from './internal-step.ts';
import type { CachePlace, CacheTarget } from './request.ts';

/** What exporting a cache needs. */
export interface CacheExportDeps extends ImageDeps, Pick<IndexExportDeps, 'download'> {
  readonly cache: CacheDb;
  readonly leases: Leases;
  readonly traces: TraceDb;
  readonly openRemote: (place: CachePlace) => Result<CacheRemote>;
  /** Layers that are compressed at once. */
  readonly maxParallel: number;
}

/** What progress calls an export (BuildKit's names). */
const TITLES: Readonly<Record<CachePlace['kind'], string>> = {
  local: 'exporting cache to client directory',
  registry: 'exporting cache to registry',
  dir: 'exporting cache to shared directory',
  gha: 'exporting to GitHub Actions Cache',
  s3: 'exporting cache to Amazon S3',
};

/** Transfers at once. */
const TRANSFERS = 6;

/** Writes the part of the cache that leads to `records` to every target that is a place. */
export async function exportCaches(
  deps: CacheExportDeps,
  what: { readonly records: readonly RecordId[]; readonly targets: readonly CacheTarget[] },
  report: StepReport & { readonly signal: AbortSignal },
): Promise<Result<void>> {
  for (const target of what.targets) {
    const { place } = target;
    if (place.kind === 'inline') continue;
    const done = await internalVertex(report, TITLES[place.kind], async (step) => {
      const context: ExportContext = { signal: report.signal, emit: report.emit, vertex: step.op };
      const remote = deps.openRemote(place);
      const warn = (message: string): void =>
        report.emit({ type: 'warning', vertex: step.vertex, rule: 'CacheExport', message });
      if (!remote.ok) return remote;
      step.status('preparing build cache for export');
      await using lease = deps.leases.open('a cache export');
      const graph = await graphOf(deps, what.records, target, { context, warn, lease });
      if (!graph.ok) return graph;
      step.done('preparing build cache for export');
      const signer = await openSigner(target, report.clock);
      if (!signer.ok) return signer;
      const written = await write(deps, inTypesOf(target, graph.value), remote.value, {
        ...{ context, warn, target },
        done: (id) => step.done(id),
        ...(signer.value === undefined ? {} : { sign: signer.value }),
      });
      if (written.ok || !target.ignoreError) return written;
      warn(`the cache was not exported to ${remote.value.name}: ${written.error.message}`);
      return ok(undefined);
    });
    if (!done.ok) return done;
  }
  return ok(undefined);
}

/** An exported graph, for each blob the layer it is a form of, and what is attached: file indexes, traces of steps. */
interface Prepared {
  readonly graph: CacheGraph;
  readonly blobs: ReadonlyMap<string, LayerBlob>;
  readonly attached: readonly FileIndexBlob[];
}

/** Docker's manifest lists name layers by Docker's media types. */
function inTypesOf(target: CacheTarget, prepared: Prepared): Prepared {
  if (target.carrier !== 'docker-list') return prepared;
  const records = prepared.graph.records.map((record) => ({
    ...record,
    results: record.results.map((result) => ({
      ...result,
      layers: result.layers.map((layer) => ({
        ...layer,
        mediaType: dockerType(layer.mediaType),
      })),
    })),
  }));
  return { ...prepared, graph: { records } };
}

function dockerType(mediaType: string): string {
  const compression = layerCompression(mediaType);
  return compression === undefined ? mediaType : layerMediaType(compression, 'docker');
}

interface Saying {
  readonly context: ExportContext;
  readonly warn: (message: string) => void;
}

async function graphOf(
  deps: CacheExportDeps,
  records: readonly RecordId[],
  target: CacheTarget,
  { context, warn, lease }: Saying & { readonly lease: Pick<Lease, 'add'> },
): Promise<Result<Prepared>> {
  const exported = heldRecords(deps.cache, { records, mode: target.mode }, lease);
  const made = await layerBlobs(deps, exported, target, context);
  const blobs = new Map<string, LayerBlob>();
  const missing = new Map<LayerId, Failure>();
  const graphRecords = exported.map(({ digest, inputs, results }) => ({
    digest,
    inputs: inputs.map((links) => links.map(({ link, ...rest }) => ({ record: link, ...rest }))),
    results: results.flatMap(({ chain, createdAt }) => {
      const layers: GraphLayer[] = [];
      for (const ref of chain) {
        const layer = made.get(ref.id);
        if (layer?.ok !== true) {
          if (layer !== undefined) missing.set(ref.id, layer.error);
          return [];
        }
        const { blob, diffId } = layer.value;
        blobs.set(blob.digest, layer.value);
        const { digest: name, mediaType, size } = blob;
        layers.push({
          ...{ blob: name, mediaType, size, diffId },
          ...(ref.createdAt > 0 ? { createdAt: goTime(ref.createdAt) } : {}),
        });
      }
      return [{ layers, createdAt: goTime(createdAt) }];
    }),
  }));
  for (const [id, why] of missing) warn(`results with layer ${id} are left out: ${why.message}`);
  const indexes = await exportedIndexes(deps, layerChains(exported), made, context);
  const ids = exported.map(({ record }) => record);
  const traces =
    target.decisions === false ? [] : await exportedTraces(deps, graphRecords, ids, warn);
  return ok({ graph: { records: graphRecords }, blobs, attached: [...indexes, ...traces] });
}

/** The blob of every layer of every result, each made at most once. */
async function layerBlobs(
  deps: CacheExportDeps,
  exported: readonly ExportedRecord[],
  target: CacheTarget,
  context: ExportContext,
): Promise<ReadonlyMap<LayerId, Result<LayerBlob>>> {
  const wanted = layerChains(exported);
  const slots = new Semaphore(deps.maxParallel);
  const { compression, level, force } = target;
  const options = { compression, force, ...(level === undefined ? {} : { level }) };
  const made = await awaitAll(
    [...wanted].map(
      async ([id, chain]) =>
        [
          id,
          await slots.run(context.signal, () => layerBlob(deps, chain, options, context)),
        ] as const,
    ),
  );
  return new Map(made);
}

interface Writing {
  readonly done: (id: string) => void;
  readonly target: CacheTarget;
  readonly sign?: Signer;
}

async function write(
  deps: CacheExportDeps,
  { graph, blobs, attached }: Prepared,
  remote: CacheRemote,
  { context, warn, done, target, sign }: Saying & Writing,
): Promise<Result<void>> {
  const { signal } = context;
  const { config, layers } = encodeCacheConfig(graph);
  const slots = new Semaphore(TRANSFERS);
  const attachments = attached.map(({ blob }) => blob);
  const sent = await awaitAll([
    ...attached.map((each) => slots.run(signal, () => writeIndex(deps, each, remote, context))),
    ...layers.map((layer) =>
      slots.run(signal, async () => {
        const known = blobs.get(layer.blob);
        if (known === undefined) throw new Error(`no layer for blob ${layer.blob}`);
        const obtain = async (): Promise<Result<void>> => {
          const ref = { ...known.layer, blob: known.blob };
          const fetched = await deps.fetchBlob(ref, context);
          return fetched.ok ? ok(undefined) : fetched;
        };
        const { origin } = known.layer;
        const from = origin === undefined ? {} : { from: origin };
        const written = await remote.write(known.blob, { signal, obtain, ...from });
        if (written.ok) done(`writing layer ${layer.blob}`);
        return written;
      }),
    ),
  ]);
  const failed = sent.find((each) => !each.ok);
  if (failed?.ok === false) return failed;
  const annotated = new Map(layers.map((layer) => [layer.blob, layer]));
  const bytes = Buffer.from(
    cacheConfigText(config, remote.form === 'config' ? annotated : undefined),
  );
  if (bytes.length > MAX_CACHE_CONFIG_BYTES)
    warn(`the cache config has ${bytes.length} bytes: BuildKit reads no more than 1 MiB`);
  if (remote.form === 'config') {
    const plain = String(bytes);
    const whole =
      attachments.length === 0
        ? plain
        : withMember(plain, ATTACHMENTS_MEMBER, attachmentsText(attachments));
    const signature = sign?.(cacheSubject({ ...graph, attachments }))[SIGNATURE_MEMBER];
    const text = signature === undefined ? whole : withMember(whole, SIGNATURE_MEMBER, signature);
    const published = await remote.publish(Buffer.from(text), CACHE_CONFIG_MEDIA_TYPE, { signal });
    if (published.ok) done(`writing config ${sha256(bytes)}`);
    return published;
  }
  const digest = await deps.content.put(bytes);
  const descriptor = { mediaType: CACHE_CONFIG_MEDIA_TYPE, digest, size: bytes.length };
  const stored = await remote.write(descriptor, {
    signal,
    obtain: () => Promise.resolve(ok(undefined)),
  });
  if (!stored.ok) return stored;
  done(`writing config ${digest}`);
  const { carrier } = target;
  const manifest = encodeCacheManifest(descriptor, layers, {
    others: attachments,
    ...(carrier === undefined ? {} : { carrier }),
    ...(sign === undefined ? {} : { annotations: sign(cacheSubject({ ...graph, attachments })) }),
  });
  const published = await remote.publish(manifest.bytes, manifest.mediaType, { signal });
  if (!published.ok) return published;
  done(`writing cache image manifest ${await deps.content.put(manifest.bytes)}`);
  return ok(undefined);
}

/**
 * The member of an image configuration that makes the image its own cache: results that are the image's lowest layers.
 * Undefined when no key leads to the image.
 */
export function inlineCache(
  cache: CacheDb,
  records: readonly RecordId[],
  image: LayerChain,
): string | undefined {
  const exported = exportRecords(cache, records, 'min');
  if (exported.length === 0) return undefined;
  return encodeInlineCache(
    exported.map(({ digest, inputs, results }) => ({
      digest,
      inputs,
      results: results
        .filter(({ chain }) => chain.every((layer, i) => image[i]?.id === layer.id))
        .map(({ chain, createdAt }) => ({ layers: chain.length, createdAt: goTime(createdAt) })),
    })),
  );
}
