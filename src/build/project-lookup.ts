import { isRecord, ok, parseJson, type Result } from '../base/index.ts';
import { decodeImageConfig } from '../oci/index.ts';
import { type FoundImage, imageChain, withLocalLayers } from '../ops/index.ts';
import type { LayerChain } from '../ports/index.ts';
import type { KeyedLayer, MadeLayer, ProjectWorld } from './project-types.ts';

/** Member of a layer image's configuration that says which layer it is. */
export const LAYER_MEMBER = 'varve.layer';

/** A layer that was found under its key. */
export interface FoundLayer extends MadeLayer {
  readonly state: 'here' | 'registry';
  readonly ref: string;
  readonly bytes: number;
}

/**
 * Looks for a layer under its key: among the images of this store, then at the registry, in the order of its names. Only
 * manifest and configuration are fetched.
 */
export async function findLayer(
  world: ProjectWorld,
  layer: KeyedLayer,
): Promise<Result<FoundLayer | undefined>> {
  const refs = world.places.read(layer.spec.name, layer.key);
  for (const ref of refs) {
    const found = await storedLayer(world, layer, ref);
    if (found !== undefined && (await isHere(world, found.chain))) return ok(found);
  }
  if (!world.places.remote) return ok(undefined);
  for (const ref of refs) {
    const { platform, deps, signal } = { ...layer, ...world };
    const found = await deps.registry.resolve(ref, { platform, signal });
    if (!found.ok) {
      // Not there. Anything else is said, and the layer is built: a registry that is ill fails no build.
      if (found.error.code !== 'RG003') warn(world, layer, ref, found.error.message);
      continue;
    }
    const origin = `docker-image://${ref.slice(0, ref.lastIndexOf(':'))}`;
    const made = await layerOf(world, layer, { ...found.value, origin });
    if (made === undefined) {
      warn(world, layer, ref, 'it is not the image of this layer');
      continue;
    }
    deps.images.set({ name: ref, target: found.value.top, createdAt: deps.clock.now() });
    return ok({ ...made, ref, state: 'registry', bytes: bytesOf(found.value) });
  }
  return ok(undefined);
}

async function storedLayer(
  world: ProjectWorld,
  layer: KeyedLayer,
  ref: string,
): Promise<FoundLayer | undefined> {
  if (world.deps.images.get(ref) === undefined) return undefined;
  const { platform } = layer;
  const options = { platform, signal: world.signal, mode: 'local-first' as const };
  const found = await world.images.image(ref, options);
  if (!found.ok) return undefined;
  const { origin: _nowhere, ...image } = found.value;
  const made = await layerOf(world, layer, image);
  return made === undefined
    ? undefined
    : { ...made, ref, state: 'here', bytes: bytesOf(found.value) };
}

const bytesOf = ({ layers }: FoundImage): number => layers.reduce((sum, { size }) => sum + size, 0);

/** Undefined where the image does not say that it is this layer. */
async function layerOf(
  world: ProjectWorld,
  layer: KeyedLayer,
  image: FoundImage,
): Promise<MadeLayer | undefined> {
  const said = saidOf(image.config, layer);
  if (said === undefined) return undefined;
  const { deps } = world;
  const chain = await withLocalLayers(deps, imageChain(image, deps.clock.now()));
  return { ...said, chain };
}

/** What the configuration of a layer's image says of it; undefined where it is that of another layer. */
export function saidOf(
  config: Uint8Array,
  layer: Pick<KeyedLayer, 'key' | 'spec'>,
): Omit<MadeLayer, 'chain'> | undefined {
  const json = parseJson(Buffer.from(config).toString('utf8'));
  if (!json.ok || !isRecord(json.value)) return undefined;
  const { [LAYER_MEMBER]: said, history } = json.value;
  if (!isRecord(said) || said['key'] !== layer.key || said['name'] !== layer.spec.name)
    return undefined;
  const decoded = decodeImageConfig(config, layer.spec.name);
  return {
    config: isRecord(said['config']) ? said['config'] : {},
    history: decoded.ok && Array.isArray(history) ? decoded.value.history : [],
    costMs: typeof said['costMs'] === 'number' ? said['costMs'] : 0,
  };
}

/** Whether every layer is extracted here, or its blob is. */
async function isHere({ deps }: ProjectWorld, chain: LayerChain): Promise<boolean> {
  for (const [i, layer] of chain.entries()) {
    if (await deps.snapshotter.has(chain.slice(0, i + 1))) continue;
    const { blob } = layer;
    if (blob === undefined || (await deps.content.size(blob.digest)) !== blob.size) return false;
  }
  return true;
}

function warn(world: ProjectWorld, layer: KeyedLayer, ref: string, why: string): void {
  world.deps.emit({
    type: 'warning',
    vertex: layer.key,
    rule: 'LayerNotRead',
    message: `layer ${layer.spec.name} is built, ${ref} cannot be used: ${why}`,
  });
}
