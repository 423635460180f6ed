import {
  err,
  type Failure,
  failure,
  isDiskFailure,
  ok,
  type Result,
  Semaphore,
} from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type {
  Clock,
  ContentStore,
  LayerDb,
  LayerOrigins,
  LayerRef,
  Registry,
  Snapshotter,
  TreeContext,
  WorkLocks,
} from '../ports/index.ts';

/** What makes layers ready on this machine. */
export interface MaterializerDeps {
  readonly content: ContentStore;
  readonly registry: Registry;
  readonly snapshotter: Snapshotter;
  readonly layers: LayerDb;
  readonly locks: WorkLocks;
  readonly clock: Clock;
  /** A content store over a foreign OCI layout, which is only read. */
  readonly openLayout: (dir: string) => ContentStore;
  /** Where layers of caches in services are had from. */
  readonly origins?: LayerOrigins;
  /** Downloads at once; 4 when absent. */
  readonly parallel?: number;
  /** Extractions at once, up to 4. */
  readonly maxParallel?: number;
  /** Told of a layer whose blob cannot be had from its origin, or is not what it was said to be. */
  readonly onLost?: (layer: LayerRef, why: Failure) => void;
  /** Other places that have the layer, asked in turn when its own has not. */
  readonly elsewhere?: (layer: LayerRef) => readonly LayerRef[];
  /** Told of each blob that came from a layer's origin. */
  readonly onFetched?: (layer: LayerRef, blob: Descriptor) => void;
}

/** Fetches the blob of a layer into the content store (nothing is done when it is there). */
export type BlobFetcher = (layer: LayerRef, context: TreeContext) => Promise<Result<Descriptor>>;

/** Brings any blob of an origin into the content store. */
export type BlobDownload = (
  origin: string,
  blob: Descriptor,
  context: TreeContext,
) => Promise<Result<void>>;

const REPORT_MS = 100;

/** Makes the fetcher of blobs: from where the layer's `origin` says, by one process at a time. */
export function createBlobFetcher(
  deps: Pick<
    MaterializerDeps,
    | 'content'
    | 'registry'
    | 'layers'
    | 'locks'
    | 'clock'
    | 'openLayout'
    | 'origins'
    | 'parallel'
    | 'onLost'
    | 'elsewhere'
    | 'onFetched'
  >,
): BlobFetcher {
  const slots = new Semaphore(deps.parallel ?? 4);
  return async (layer, context) => {
    const blob = await knownBlob(deps, layer);
    if (blob === undefined) return err(nowhere(layer));
    if ((await deps.content.size(blob.digest)) === blob.size) return ok(blob);
    // Before the slot: what waits for another process keeps no other download waiting.
    await using _lock = await deps.locks.lock(`blob:${blob.digest}`, context.signal);
    if ((await deps.content.size(blob.digest)) === blob.size) return ok(blob);
    const fetched = await slots.run(context.signal, () => download(deps, layer, blob, context));
    if (fetched.ok) {
      deps.onFetched?.(layer, blob);
      deps.layers.addBlob(layer.id, blob);
      return ok(blob);
    }
    // The layer is where it was: that this disk cannot take it is no reason to make another.
    if (isDiskFailure(fetched.error)) return fetched;
    for (const other of deps.elsewhere?.(layer) ?? []) {
      const form = other.blob;
      if (form === undefined) continue;
      const got = await slots.run(context.signal, () => download(deps, other, form, context));
      if (!got.ok) continue;
      deps.onFetched?.(other, form);
      deps.layers.addBlob(layer.id, form);
      return ok(form);
    }
    deps.onLost?.(layer, fetched.error);
    return fetched;
  };
}

/** Makes what brings blobs that are no layers. */
export function createBlobDownload(
  deps: Pick<MaterializerDeps, 'content' | 'registry' | 'clock' | 'openLayout' | 'origins'>,
): BlobDownload {
  return (origin, blob, context) => download(deps, { origin }, blob, context);
}

/** A form of the layer that is here, else one that can be had. */
async function knownBlob(
  deps: Pick<MaterializerDeps, 'content' | 'layers'>,
  layer: LayerRef,
): Promise<Descriptor | undefined> {
  const known = deps.layers.layer(layer.id)?.blobs ?? [];
  for (const blob of known) if ((await deps.content.size(blob.digest)) === blob.size) return blob;
  return layer.blob ?? known[0];
}

async function download(
  deps: Pick<MaterializerDeps, 'content' | 'registry' | 'clock' | 'openLayout' | 'origins'>,
  layer: Partial<LayerRef>,
  blob: Descriptor,
  context: TreeContext,
): Promise<Result<void>> {
  const { signal } = context;
  const { origin } = layer;
  let reported = 0;
  const progress = (current: number, total: number | undefined): void => {
    const now = deps.clock.now();
    const completed = current === total;
    if (!completed && now - reported < REPORT_MS) return;
    reported = now;
    report(deps, context, blob.digest, {
      current,
      ...(total === undefined ? {} : { total }),
      completed,
    });
  };
  if (origin?.startsWith('docker-image://') === true) {
    const repository = origin.slice('docker-image://'.length);
    return await deps.registry.pullBlob(`${repository}@${blob.digest}`, blob, { signal, progress });
  }
  if (origin?.startsWith('oci-layout://') === true) {
    const from = deps.openLayout(origin.slice('oci-layout://'.length));
    const copied = await deps.content.ingest(from.stream(blob.digest, { signal }), {
      signal,
      digest: blob.digest,
      size: blob.size,
    });
    progress(blob.size, blob.size);
    return copied.ok ? ok(undefined) : copied;
  }
  const pulled =
    origin === undefined ? undefined : deps.origins?.pull(origin, blob, { signal, progress });
  return (await pulled) ?? err(nowhere(layer));
}

function nowhere(layer: Partial<LayerRef>): Failure {
  return failure(
    'ST020',
    3,
    `layer ${layer.diffId ?? layer.id ?? ''} is not on this machine, and nothing says where it can be had`,
    {
      help: 'build again without the cache of this step (`--no-cache-filter`)',
    },
  );
}

/** Tells how far a blob or a layer is. */
export function report(
  deps: Pick<MaterializerDeps, 'clock'>,
  context: TreeContext,
  id: string,
  state: { readonly current?: number; readonly total?: number; readonly completed?: boolean },
): void {
  context.emit({
    type: 'status',
    vertex: context.vertex.digest,
    at: deps.clock.now(),
    id,
    completed: false,
    ...state,
  });
}
