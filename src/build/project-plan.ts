import { ok, type Result } from '../base/index.ts';
import { formatPlatform } from '../oci/index.ts';
import type { ImageDb } from '../ports/index.ts';
import type { Goals } from '../project/index.ts';
import { platformsOf } from './project.ts';
import { keyLayers } from './project-keys.ts';
import { findLayer } from './project-lookup.ts';
import { layerCause, layerMemory } from './project-memory.ts';
import type { KeyedLayer, LayerCause, ProjectWorld } from './project-types.ts';

/** What building would do with a layer. */
export interface PlannedLayer {
  readonly layer: string;
  readonly platform: string;
  readonly key: KeyedLayer['key'];
  readonly state: 'here' | 'registry' | 'build';
  /** Bytes of the layer; of one that would be built, those of its last build. */
  readonly bytes?: number;
  /** How long the last build took. */
  readonly ms?: number;
  readonly cause?: LayerCause;
}

/** Looks every layer up and builds none; nothing is written. */
export async function planProject(
  asked: ProjectWorld,
  goals: Pick<Goals, 'layers' | 'images'>,
): Promise<Result<readonly PlannedLayer[]>> {
  const world = { ...asked, deps: { ...asked.deps, images: readOnlyImages(asked.deps.images) } };
  const { memo } = world.deps;
  const planned: PlannedLayer[] = [];
  for (const [platform, specs] of platformsOf(world, goals)) {
    const keyed = await keyLayers(world, specs, platform);
    if (!keyed.ok) return keyed;
    const layers = wantedOf([...keyed.value.values()], goals);
    const found = await Promise.all(layers.map((layer) => findLayer(world, layer)));
    for (const [i, layer] of layers.entries()) {
      const result = found[i];
      if (result?.ok === false) return result;
      const row = { layer: layer.spec.name, platform: formatPlatform(platform), key: layer.key };
      if (result?.value !== undefined) {
        const { state, bytes, costMs } = result.value;
        planned.push({ ...row, state, bytes, ms: costMs });
        continue;
      }
      const cause = layerCause(memo, world.project.name, layer);
      const [last] = layerMemory(memo, world.project.name, layer);
      const expected = last === undefined ? {} : { bytes: last.bytes, ms: last.costMs };
      planned.push({ ...row, state: 'build', cause, ...expected });
    }
  }
  return ok(planned);
}

/** Layers that are only copied from are looked for when a recipe runs. */
function wantedOf(
  layers: readonly KeyedLayer[],
  goals: Pick<Goals, 'layers'>,
): readonly KeyedLayer[] {
  const names = new Set(goals.layers.map(({ name }) => name));
  return layers.filter(({ spec }) => names.has(spec.name));
}

/** Looks images up and remembers none. */
export function readOnlyImages(images: ImageDb): ImageDb {
  return {
    get: (name) => images.get(name),
    list: () => images.list(),
    set: () => undefined,
    remove: () => false,
  };
}
