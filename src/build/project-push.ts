import { err, ok, type Result } from '../base/index.ts';
import { pushImage } from '../export/index.ts';
import { platformsOf } from '../image/index.ts';
import { createBlobFetcher, createMaterializer, imageChain } from '../ops/index.ts';
import { internalVertex } from './internal-step.ts';
import type { KeyedLayer, ProjectWorld } from './project-types.ts';

/** Pushes the image of a layer that this store has, unless the registry has it under its name. */
export async function pushStoredLayer(
  world: ProjectWorld,
  layer: KeyedLayer,
  ref: string,
): Promise<Result<void>> {
  const { deps, signal } = world;
  const row = deps.images.get(ref);
  if (row === undefined) return ok(undefined);
  const there = await deps.registry.manifest(ref, { signal });
  if (there.ok && there.value.descriptor.digest === row.target.digest) return ok(undefined);
  if (!there.ok && there.error.code !== 'RG003') return err(there.error);
  const found = await world.images.image(ref, {
    ...{ platform: layer.platform, signal, mode: 'local-first' },
  });
  if (!found.ok) return found;
  const chain = imageChain(found.value, row.createdAt);
  const stored = await platformsOf(deps.content, row.target, ref);
  if (!stored.ok) return stored;
  const layers = chain.flatMap((part) =>
    part.diffId === undefined || part.blob === undefined
      ? []
      : [{ diffId: part.diffId, blob: part.blob, layer: part }],
  );
  const image = {
    manifest: row.target,
    config: found.value.configDescriptor,
    layers,
    platform: layer.platform,
  };
  return await internalVertex(deps, `pushing layer ${layer.spec.name}`, async (step) =>
    pushImage(
      { ...deps, fetchBlob: createBlobFetcher(deps), materialise: createMaterializer(deps) },
      { target: row.target, images: [image], attestations: [], names: [ref], metadata: {} },
      { signal, emit: deps.emit, vertex: step.op },
    ),
  );
}
