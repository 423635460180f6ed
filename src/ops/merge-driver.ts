import { randomBytes } from 'node:crypto';
import { type Digest, err, type Failure, failure, ok, type Result } from '../base/index.ts';
import {
  type CacheMap,
  isLocalLayer,
  type LayerChain,
  type LayerId,
  type LayerRef,
  type OpContext,
  type OpDriver,
  type OpResult,
  type Snapshotter,
  type TreeProvider,
} from '../ports/index.ts';
import { contentKeyOf, keyOf } from './op-keys.ts';

/** What merge ops need; they touch it only when a layer would stand twice in one chain, or a local source takes part. */
export interface MergeDriverDeps {
  readonly snapshotter: Snapshotter;
  readonly trees: TreeProvider;
}

/**
 * The driver of merge ops (`pb.MergeOp`, what COPY --link becomes): the layers of all inputs, lowest first, in one chain.
 * Nothing is read, written or pulled: layers are moved as they are.
 */
export function createMergeDriver(deps: MergeDriverDeps): OpDriver {
  return {
    cacheMap: (context): Promise<Result<CacheMap>> => Promise.resolve(keyOf(context.vertex.op)),
    contentKey: async (context, index, input): Promise<Result<Digest>> =>
      await contentKeyOf(context, deps.trees, { index, input }),
    run: async (context, inputs) => {
      const { body } = context.vertex.op;
      if (body.kind !== 'merge') throw new Error(`a merge driver was given a ${body.kind} op`);
      let merged: LayerChain = [];
      for (const index of body.merge.inputs) {
        const input = index === -1 ? [] : inputs[index];
        if (input === undefined) return err(noInput('merge', index));
        const next = await stack(deps, context, { below: merged, input });
        if (!next.ok) return next;
        merged = next.value;
      }
      return ok([merged]);
    },
  };
}

/** The failure of an op that names an input it does not have. */
export function noInput(kind: 'merge' | 'diff', index: number): Failure {
  return failure(
    'GR012',
    2,
    `malformed ${kind} op: it names input ${index}, which it does not have`,
  );
}

async function stack(
  deps: MergeDriverDeps,
  context: OpContext,
  { below, input }: { readonly below: LayerChain; readonly input: OpResult },
): Promise<Result<LayerChain>> {
  // Laying a chain over its own beginning changes nothing below its new layers.
  if (startsWith(input, below)) return await withoutLocals(deps, context, input);
  const own = await withoutLocals(deps, context, input);
  if (!own.ok) return own;
  const chain = [...below];
  for (const [i, layer] of own.value.entries()) {
    const twice = chain.some(({ id }) => id === layer.id);
    if (!twice) {
      chain.push(layer);
      continue;
    }
    const copy = await copyLayer(deps, context, {
      below: chain,
      source: own.value.slice(0, i + 1),
    });
    if (!copy.ok) return copy;
    chain.push(copy.value);
  }
  return ok(chain);
}

/** Whether `chain` begins with all of `start`. */
export function startsWith(chain: LayerChain, start: LayerChain): boolean {
  return start.length <= chain.length && start.every(({ id }, i) => chain[i]?.id === id);
}

async function withoutLocals(
  { trees }: MergeDriverDeps,
  context: OpContext,
  chain: LayerChain,
): Promise<Result<LayerChain>> {
  return chain.some(({ id }) => isLocalLayer(id))
    ? await trees.materialise(chain, context)
    : ok(chain);
}

/** An overlay cannot hold one directory twice: a layer's second place in a chain gets a layer of its own. */
async function copyLayer(
  { snapshotter, trees }: MergeDriverDeps,
  context: OpContext,
  { below, source }: { readonly below: LayerChain; readonly source: LayerChain },
): Promise<Result<LayerRef>> {
  for (const chain of [source, below]) {
    const ready = await trees.materialise(chain, context);
    if (!ready.ok) return ready;
  }
  const createdAt = source.at(-1)?.createdAt ?? 0;
  // Brand constructor: the id of a layer made here (ports/snapshotter.ts).
  const copy = { id: `new:${randomBytes(16).toString('hex')}` as LayerId, createdAt };
  const { signal } = context;
  const applied = await snapshotter.apply([...below, copy], snapshotter.tar(source, { signal }), {
    signal,
  });
  return applied.ok ? ok(copy) : applied;
}
