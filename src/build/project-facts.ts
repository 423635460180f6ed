import { ok, type Result } from '../base/index.ts';
import { layersBelow } from '../project/index.ts';
import { platformsOf } from './project.ts';
import { keyLayers } from './project-keys.ts';
import { findLayer } from './project-lookup.ts';
import { layerMemory } from './project-memory.ts';
import { readOnlyImages } from './project-plan.ts';
import type { ProjectWorld } from './project-types.ts';

/** What is known of a layer that was built, under its key of now or another. */
export interface BuiltLayerFacts {
  readonly layer: string;
  readonly bytes: number;
  readonly seconds: number;
  /** Empty where the layer is not extracted here. */
  readonly files: readonly (readonly [path: string, bytes: number])[];
}

/** The named layers that were ever built, for the first platform of the project; nothing is built or fetched. */
export async function builtLayers(
  asked: ProjectWorld,
  names: readonly string[],
): Promise<Result<readonly BuiltLayerFacts[]>> {
  const world = { ...asked, deps: { ...asked.deps, images: readOnlyImages(asked.deps.images) } };
  const { layers } = world.project;
  const [first] = platformsOf(world, { layers: layersBelow(layers, names), images: [] });
  if (first === undefined) return ok([]);
  const keyed = await keyLayers(world, first[1], first[0]);
  if (!keyed.ok) return keyed;
  const facts: BuiltLayerFacts[] = [];
  for (const name of names) {
    const layer = keyed.value.get(name);
    if (layer === undefined) continue;
    const found = await findLayer(world, layer);
    if (!found.ok) return found;
    const [last] = layerMemory(world.deps.memo, world.project.name, layer);
    const { bytes, costMs } = found.value ?? last ?? {};
    if (bytes === undefined || costMs === undefined) continue;
    const chain = found.value?.chain ?? [];
    facts.push({
      ...{ layer: name, bytes, seconds: costMs / 1000 },
      files: await filesOf(world.deps.snapshotter, chain),
    });
  }
  return ok(facts);
}

async function filesOf(
  snapshotter: ProjectWorld['deps']['snapshotter'],
  chain: Parameters<ProjectWorld['deps']['snapshotter']['has']>[0],
): Promise<BuiltLayerFacts['files']> {
  const files: (readonly [string, number])[] = [];
  for (const [i] of chain.entries()) {
    const part = chain.slice(0, i + 1);
    if (!(await snapshotter.has(part))) return [];
    for (const each of snapshotter.entries(part))
      if (each.kind !== 'gone' && each.entry.type === 'file')
        files.push([each.path, each.entry.size]);
  }
  return files;
}
