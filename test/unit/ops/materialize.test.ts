import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Digest, failure, ok, type Result, sha256 } from '../../../src/base/index.ts';
import { createContentStore } from '../../../src/content/index.ts';
import { createMaterializer, type MaterializerDeps } from '../../../src/ops/index.ts';
import type { LayerChain, LayerId, LayerRef } from '../../../src/ports/index.ts';

const { signal } = new AbortController();

interface World extends Disposable {
  readonly chain: LayerChain;
  readonly bring: () => Promise<Result<void>>;
  readonly log: string[];
  /** Most extractions that were going on at once. */
  readonly most: () => number;
}

/**
 * A chain whose layers are extracted by `work`; the numbers of `onBelow` take something from the layer below, so that they can
 * only be extracted after it.
 */
async function world(
  count: number,
  work: (layer: number) => Promise<Result<void>>,
  options: { readonly onBelow?: readonly number[]; readonly maxParallel?: number } = {},
): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-materialize-'));
  const content = createContentStore(dir);
  const layers: LayerRef[] = [];
  for (let i = 0; i < count; i++) {
    const bytes = Buffer.alloc(512, i);
    const digest: Digest = await content.put(bytes);
    const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 512 };
    // Brand: layers from outside are known by their diffID.
    layers.push({ id: sha256(String(i)) as string as LayerId, blob, createdAt: 0 });
  }
  const here = new Set<number>();
  const log: string[] = [];
  let [now, most] = [0, 0];
  const numberOf = (chain: LayerChain): number => chain.length - 1;
  const extract = async (chain: LayerChain): Promise<Result<void>> => {
    const layer = numberOf(chain);
    now++;
    most = Math.max(most, now);
    const done = await work(layer);
    now--;
    if (done.ok) {
      here.add(layer);
      log.push(String(layer));
    }
    return done;
  };
  // What a materializer uses of its ports.
  const deps = {
    content,
    clock: { now: () => 0 },
    layers: { layer: () => undefined, addBlob: () => undefined },
    locks: {
      lock: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
    },
    snapshotter: {
      has: (chain: LayerChain) => Promise.resolve(here.has(numberOf(chain))),
      apply: async (chain: LayerChain, tar: AsyncIterable<Uint8Array>) => {
        for await (const _chunk of tar);
        for (let i = 0; i < numberOf(chain); i++) assert.ok(here.has(i), `${i} is below`);
        return await extract(chain);
      },
      applyAhead: async (chain: LayerChain, tar: AsyncIterable<Uint8Array>) => {
        for await (const _chunk of tar);
        if (options.onBelow?.includes(numberOf(chain)) === true) return ok(false);
        const done = await extract(chain);
        return done.ok ? ok(true) : done;
      },
    },
    ...(options.maxParallel === undefined ? {} : { maxParallel: options.maxParallel }),
  } as unknown as MaterializerDeps;
  const materialise = createMaterializer(deps);
  const context = {
    signal,
    emit: () => undefined,
    vertex: { digest: sha256('vertex') },
  } as unknown as Parameters<typeof materialise>[1];
  return {
    chain: layers,
    log,
    most: () => most,
    bring: () => materialise(layers, context),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Resolves when so many wait for it. */
function barrier(count: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let waiting = 0;
  return async () => {
    if (++waiting === count) resolve(undefined);
    await promise;
  };
}

test('layers that need nothing of each other are extracted at the same time, four at most', async () => {
  const met = barrier(4);
  let first = 0;
  using w = await world(9, async () => {
    // The first four wait for each other: one after the other they would wait for ever.
    if (first++ < 4) await met();
    return ok(undefined);
  });
  assert.deepEqual(await w.bring(), ok(undefined));
  assert.deepEqual(
    [w.log.toSorted(), w.most()],
    [['0', '1', '2', '3', '4', '5', '6', '7', '8'], 4],
  );
});

test('as many are extracted at once as the machine is asked to, in their order where one takes from the one below', async () => {
  using narrow = await world(5, () => Promise.resolve(ok(undefined)), { maxParallel: 1 });
  assert.deepEqual(await narrow.bring(), ok(undefined));
  assert.equal(narrow.most(), 1);
  using w = await world(6, () => Promise.resolve(ok(undefined)), { onBelow: [1, 2, 4, 5] });
  assert.deepEqual(await w.bring(), ok(undefined));
  const at = (layer: number): number => w.log.indexOf(String(layer));
  assert.deepEqual(w.log.length, 6);
  assert.ok(at(0) < at(1) && at(1) < at(2) && at(3) < at(4) && at(4) < at(5), w.log.join());
});

test('a layer that is damaged fails the chain, whatever else was under way', async () => {
  const bad = failure('ST303', 3, 'layer 2 is damaged');
  const met = barrier(3);
  using w = await world(6, async (layer) => {
    if (layer < 3) await met();
    return layer === 2 ? { ok: false, error: bad } : ok(undefined);
  });
  const done = await w.bring();
  assert.equal(done.ok ? '' : done.error.code, 'ST303');
});
