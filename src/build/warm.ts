import { awaitAll, err, failure, ok, type Result, redact, Semaphore } from '../base/index.ts';
import { createBlobFetcher, createMaterializer, SourceMemory } from '../ops/index.ts';
import type { LayerChain, LayerRef } from '../ports/index.ts';
import type { PlannedStep } from '../solve/index.ts';
import type { BuildDeps } from './deps.ts';
import { importCaches } from './import-caches.ts';
import { importedTraces } from './import-traces.ts';
import { internalVertex } from './internal-step.ts';
import { planBuild } from './plan.ts';
import type { BuildRequest } from './request.ts';
import { chainsOf, solveCached } from './solve-cached.ts';
import { projectOf } from './step-texts.ts';

/** What a machine is ready for. */
export interface Warmed {
  readonly steps: readonly PlannedStep[];
  /** Every step is cached, every layer extracted, and no network is needed. */
  readonly ready: boolean;
  /** Layers that are extracted now, those of base images and of stages behind the result included. */
  readonly layers: number;
  /** Compressed bytes that were fetched for it. */
  readonly fetched: number;
  /** Base images that the next build takes from the store under their names. */
  readonly images: readonly string[];
  /** Why the next build needs the network although every step is cached. */
  readonly online?: string;
}

/** Layers extracted at once. */
const PARALLEL = 2;

/**
 * Makes a store ready for a build: reads the keys of the given caches, fetches and extracts every layer that a step of it
 * may start from, keeps its base images under their names, and looks everything up again without a network.
 */
export async function warmStore(
  request: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<Warmed>> {
  const elsewhere = importedTraces(deps, projectOf(request));
  const imported = await importCaches({ ...deps, elsewhere }, request.cacheFrom, {
    ...deps,
    signal,
  });
  if (!imported.ok) return imported;
  await elsewhere.bring(signal);
  const planned = await planBuild(request, deps, signal);
  if (!planned.ok) return planned;
  const cold = { steps: planned.value, ready: false, layers: 0, fetched: 0, images: [] };
  if (planned.value.some((step) => step.state === 'run')) return ok(cold);
  const cached = await solveCached(request, deps, signal);
  if (!cached.ok) return cached;
  const fetched = { bytes: 0 };
  const extracted = await extractAll(deps, chainsOf(deps.cache, cached.value), { signal, fetched });
  if (!extracted.ok) return extracted;
  const images: string[] = [];
  for (const [name, image] of cached.value.images) {
    images.push(name);
    if (deps.images.get(name)?.target.digest === image.top.digest) continue;
    deps.images.set({ name, target: image.top, createdAt: deps.clock.now() });
  }
  const again = await planBuild(request, offline(deps), signal);
  const warmed = { layers: extracted.value, fetched: fetched.bytes, images };
  if (!again.ok)
    return ok({ ...warmed, steps: planned.value, ready: false, online: again.error.message });
  const ready = again.value.every((step) => step.state === 'cached');
  return ok({ ...warmed, steps: again.value, ready });
}

async function extractAll(
  deps: BuildDeps,
  chains: readonly LayerChain[],
  { signal, fetched }: { readonly signal: AbortSignal; readonly fetched: { bytes: number } },
): Promise<Result<number>> {
  const whole = new Map<string, LayerChain>();
  const layers = new Map<string, LayerRef>();
  for (const chain of chains) {
    if (chain.length > 0) whole.set(chain.map(({ id }) => id).join(' '), chain);
    for (const layer of chain) layers.set(layer.id, layer);
  }
  const materialise = createMaterializer(deps);
  const fetch = createBlobFetcher(deps);
  return await internalVertex({ ...deps }, 'extracting layers', async (step) => {
    const context = { signal, emit: deps.emit, vertex: step.op };
    for (const layer of layers.values()) {
      // The blob of a layer that came from elsewhere is what an image of it is made of.
      if (layer.blob === undefined || layer.origin === undefined) continue;
      const here = (await deps.content.size(layer.blob.digest)) === layer.blob.size;
      const blob = await fetch(layer, context);
      if (!blob.ok) return blob;
      if (!here) fetched.bytes += blob.value.size;
    }
    const slots = new Semaphore(PARALLEL);
    const done = await awaitAll(
      [...whole.values()].map((chain) => slots.run(signal, () => materialise(chain, context))),
    );
    return done.find((each) => !each.ok) ?? ok(layers.size);
  });
}

/** The same build on a machine without a network. */
function offline(deps: BuildDeps): BuildDeps {
  const refuse = (what: string): Promise<Result<never>> =>
    Promise.resolve(err(failure('RC041', 3, `${what} is asked for in every build`)));
  return {
    ...deps,
    remembered: new SourceMemory(),
    registry: {
      resolve: (ref) => refuse(`image ${ref}`),
      manifest: (ref) => refuse(`manifest ${ref}`),
      pullBlob: (ref) => refuse(`blob ${ref}`),
      pushBlob: (ref) => refuse(`blob ${ref}`),
      pushManifest: (ref) => refuse(`manifest ${ref}`),
      pushReferrer: (ref) => refuse(`manifest ${ref}`),
      referrers: (ref) => refuse(`manifest ${ref}`),
    },
    http: { ...deps.http, fetch: (url) => refuse(redact(url)) },
    git: {
      ...deps.git,
      resolve: () => refuse('a git repository'),
      checkout: () => refuse('a git repository'),
    },
  };
}
