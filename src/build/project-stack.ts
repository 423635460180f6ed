import { err, failure, isRecord, ok, parseJson, type Result, sha256 } from '../base/index.ts';
import { encodeImageConfig, type HistoryItem, MEDIA, type Platform } from '../oci/index.ts';
import { type FoundImage, imageChain, rememberImageChain, withLocalLayers } from '../ops/index.ts';
import type { LayerChain } from '../ports/index.ts';
import type { LayerSpec } from '../project/index.ts';
import { withDeltas } from './project-config.ts';
import type { MadeLayer, ProjectWorld } from './project-types.ts';

/** Layers over a base, and the configuration that they give together. */
export interface Stack {
  readonly chain: LayerChain;
  /** The `config` member. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly history: readonly HistoryItem[];
}

/** Puts layers over a base; nothing is read but the base's manifest. */
export async function stackOf(
  world: ProjectWorld,
  base: string,
  layers: readonly MadeLayer[],
  platform: Platform,
): Promise<Result<Stack>> {
  const below = await baseOf(world, base, platform);
  if (!below.ok) return below;
  const chain = [...below.value.chain];
  for (const layer of layers.flatMap((made) => made.chain)) {
    const twice = chain.some(({ id }) => id === layer.id);
    // An image may hold equal layers; an overlay cannot hold one directory twice.
    chain.push(twice && layer.diffId !== undefined ? asOutside(layer) : layer);
  }
  const config = withDeltas(
    below.value.config,
    layers.map((made) => made.config),
  );
  return ok({ chain, config, history: below.value.history });
}

function asOutside(layer: LayerChain[number]): LayerChain[number] {
  const { diffId } = layer;
  if (diffId === undefined) throw new Error('the layer has no diffID');
  // A layer from outside is known by its diffID (ports/snapshotter.ts).
  return { ...layer, id: diffId as string as LayerChain[number]['id'] };
}

async function baseOf(
  world: ProjectWorld,
  base: string,
  platform: Platform,
): Promise<Result<Stack>> {
  if (base === 'scratch') return ok({ chain: [], config: {}, history: [] });
  const { signal, deps } = world;
  const mode = world.common.pull ? 'registry' : 'local-first';
  const found = await world.images.image(base, { platform, signal, mode });
  if (!found.ok) return found;
  const json = parseJson(Buffer.from(found.value.config).toString('utf8'));
  if (!json.ok || !isRecord(json.value))
    return err(failure('RG012', 3, `${base}: its configuration is not JSON`));
  const { config, history } = json.value;
  return ok({
    chain: await withLocalLayers(deps, imageChain(found.value, deps.clock.now())),
    config: isRecord(config) ? config : {},
    // Only shown; what is no list of items is left out.
    history: Array.isArray(history) ? (history.filter(isRecord) as unknown as HistoryItem[]) : [],
  });
}

/**
 * The stack in the form of an image that a recipe can begin with. It is known by its layers and configuration, and is
 * never written anywhere.
 */
export function stackImage(world: ProjectWorld, stack: Stack, platform: Platform): FoundImage {
  const layers = stack.chain.map((layer) => {
    const { diffId } = layer;
    const blob = layer.blob ?? world.deps.layers.layer(layer.id)?.blobs[0];
    if (diffId === undefined || blob === undefined)
      throw new Error(`layer ${layer.id} of a stack is no part of an image`);
    return { diffId, blob, origin: layer.origin };
  });
  const diffIds = layers.map(({ diffId }) => diffId);
  rememberImageChain(world.deps.memo, stack.chain, diffIds);
  const config = encodeImageConfig({
    ...platform,
    config: stack.config,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: stack.chain.map(({ createdAt }) => ({ created: new Date(createdAt).toISOString() })),
  });
  const digest = sha256(config);
  const top = { mediaType: MEDIA.ociManifest, digest, size: config.length };
  return {
    top,
    manifest: { descriptor: top, bytes: config },
    config,
    configDescriptor: { mediaType: MEDIA.ociConfig, digest, size: config.length },
    layers: layers.map(({ blob }) => blob),
    diffIds,
    origins: layers.map(({ origin }) => origin),
  };
}

/** What a layer that names no base of its own stands on. */
export const baseBelow = (
  spec: LayerSpec,
  below: readonly { readonly spec: LayerSpec }[],
): string =>
  below.some(
    (layer) => layer.spec.recipe.kind === 'template' || layer.spec.recipe.kind === 'packages',
  )
    ? 'scratch'
    : spec.base;
