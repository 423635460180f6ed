import { createHash } from 'node:crypto';
import { decompress } from '../archive/index.ts';
import {
  digestOfHex,
  err,
  FailureError,
  Inflight,
  isDiskFailure,
  ok,
  type Result,
  Semaphore,
} from '../base/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { ContentStore, LayerChain, LayerFetcher, TreeContext } from '../ports/index.ts';
import {
  type BlobFetcher,
  createBlobFetcher,
  type MaterializerDeps,
  report,
} from './source-image-fetch.ts';

/** Layers extracted at once: they are decompressed on other threads, and written on one. */
const EXTRACTIONS = 4;

/**
 * Makes a `LayerFetcher`: missing blobs are downloaded and extracted side by side, each verified against its digest and its
 * diffID. A layer that takes something from those below it is extracted after them. A damaged blob goes to the quarantine and
 * is fetched once more.
 */
export function createMaterializer(deps: MaterializerDeps): LayerFetcher {
  const fetch = createBlobFetcher(deps);
  const slots = new Semaphore(Math.min(deps.maxParallel ?? EXTRACTIONS, EXTRACTIONS));
  const inflight = new Inflight<string, Result<boolean>>();
  /** False: the layers below have to be there first. */
  const extract = async (
    chain: LayerChain,
    context: TreeContext,
    when: 'ahead' | 'in turn',
  ): Promise<Result<boolean>> => {
    const key = chain.map((l) => l.id).join(' ');
    return await inflight.do(key, context.signal, async (signal) => {
      const name = `extract:${createHash('sha256').update(key).digest('hex')}`;
      await using _lock = await deps.locks.lock(name, signal);
      if (await deps.snapshotter.has(chain)) return ok(true);
      using _slot = await slots.acquire(signal);
      return await applyTop(deps, fetch, chain, { ...context, signal, when });
    });
  };
  const bring = async (
    chain: LayerChain,
    context: TreeContext,
    {
      blob,
      below,
    }: {
      readonly blob: Promise<Result<Descriptor>>;
      readonly below: Promise<Result<void>> | undefined;
    },
  ): Promise<Result<void>> => {
    const fetched = await blob;
    if (!fetched.ok) return fetched;
    const ahead = below === undefined ? ok(false) : await extract(chain, context, 'ahead');
    if (!ahead.ok) return ahead;
    const lower = await below;
    if (lower?.ok === false || ahead.value) return lower ?? ok(undefined);
    for (;;) {
      // The work of another may be shared that was ahead of its layers below.
      const done = await extract(chain, context, 'in turn');
      if (!done.ok) return done;
      if (done.value) return ok(undefined);
    }
  };
  return async (chain, context) => {
    // A layer that was made over an index is here without those below it.
    const missing: LayerChain[] = [];
    for (const [i] of chain.entries()) {
      const upTo = chain.slice(0, i + 1);
      if (!(await deps.snapshotter.has(upTo))) missing.push(upTo);
    }
    if (missing.length === 0) return ok(undefined);
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, stop.signal]);
    const all: Promise<Result<void>>[] = [];
    for (const upTo of missing) {
      const [layer] = upTo.slice(-1);
      if (layer === undefined) continue;
      const blob = fetch(layer, { ...context, signal });
      all.push(stopping(stop, bring(upTo, { ...context, signal }, { blob, below: all.at(-1) })));
    }
    return await firstFailure(all, context.signal);
  };
}

/** Stops the others when one fails. */
async function stopping(stop: AbortController, work: Promise<Result<void>>): Promise<Result<void>> {
  const end = (): void => stop.abort(new DOMException('another layer failed', 'AbortError'));
  try {
    const done = await work;
    if (!done.ok) end();
    return done;
  } catch (e) {
    end();
    throw e;
  }
}

/** Waits for all; a failure comes before what was stopped for it. */
async function firstFailure(
  all: readonly Promise<Result<void>>[],
  signal: AbortSignal,
): Promise<Result<void>> {
  const ends = await Promise.allSettled(all);
  signal.throwIfAborted();
  for (const end of ends) if (end.status === 'fulfilled' && !end.value.ok) return end.value;
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return ok(undefined);
}

interface Extraction extends TreeContext {
  /** Ahead of the layers below, or with them in place. */
  readonly when: 'ahead' | 'in turn';
}

async function applyTop(
  deps: MaterializerDeps,
  fetch: BlobFetcher,
  chain: LayerChain,
  context: Extraction,
): Promise<Result<boolean>> {
  const layer = chain.at(-1);
  if (layer === undefined) return ok(true);
  for (let attempt = 0; ; attempt++) {
    const blob = await fetch(layer, context);
    if (!blob.ok) return blob;
    const id = `extracting ${blob.value.digest}`;
    report(deps, context, id, {});
    const applied = await apply(deps, chain, blob.value, context);
    if (applied.ok) {
      report(deps, context, id, { completed: true });
      return applied;
    }
    if (isDiskFailure(applied.error)) return applied;
    if (attempt > 0 || (await isWhole(deps.content, blob.value, context.signal))) {
      deps.onLost?.(layer, applied.error);
      return applied;
    }
    await deps.content.quarantine(blob.value.digest, applied.error.message);
  }
}

async function apply(
  deps: MaterializerDeps,
  chain: LayerChain,
  blob: Descriptor,
  { signal, when }: Extraction,
): Promise<Result<boolean>> {
  const bytes = deps.content.stream(blob.digest, { signal });
  const tar = decompress(bytes, { signal, packedBytes: blob.size });
  try {
    if (when === 'ahead') return await deps.snapshotter.applyAhead(chain, tar, { signal });
    const applied = await deps.snapshotter.apply(chain, tar, { signal });
    return applied.ok ? ok(true) : applied;
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    throw e;
  }
}

async function isWhole(
  content: ContentStore,
  blob: Descriptor,
  signal: AbortSignal,
): Promise<boolean> {
  const hash = createHash('sha256');
  for await (const chunk of content.stream(blob.digest, { signal })) hash.update(chunk);
  return digestOfHex(hash.digest('hex')) === blob.digest;
}
