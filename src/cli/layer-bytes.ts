import type { Digest } from '../base/index.ts';
import { takeInventory } from '../upkeep/index.ts';
import type { Io } from './io.ts';
import type { Store } from './store.ts';
import { createUpkeepDeps } from './upkeep-world.ts';

/** Sizes of the layers that executions wrote, by the digest of their record: the layer on top of the result. */
export async function layerBytes(
  io: Io,
  store: Store,
): Promise<(key: Digest) => number | undefined> {
  const { upkeep } = store.db;
  const entries = await takeInventory(createUpkeepDeps(io, store));
  const sizes = new Map<string, number>();
  for (const { formsOf = [], bytes, shared } of entries)
    for (const { layer } of formsOf)
      sizes.set(layer, Math.max(sizes.get(layer) ?? 0, bytes + shared));
  const layers = new Map(upkeep.chains().map(({ id, layer }) => [id, layer]));
  const chains = new Map(upkeep.results().map(({ digest, chain }) => [digest, chain]));
  return (key) => sizes.get(layers.get(chains.get(key) ?? -1) ?? '');
}
