import { ok, type Result } from '../base/index.ts';
import { createBlobFetcher, createMaterializer } from '../ops/index.ts';
import type { LayerChain } from '../ports/index.ts';
import type { ImageSpec } from '../project/index.ts';
import { writeOutputs } from './outputs.ts';
import { imageDelta, withDeltas } from './project-config.ts';
import { stackOf } from './project-stack.ts';
import type { ImageReport, KeyedLayer, MadeLayer, Overlap, ProjectWorld } from './project-types.ts';
import { openTrees } from './solving.ts';

/** The layers of an image for one platform, lowest first. */
export interface ImageLayers {
  readonly platform: KeyedLayer['platform'];
  readonly layers: readonly { readonly keyed: KeyedLayer; readonly made: MadeLayer }[];
}

/** Puts an image together: manifest and configuration are written, layers stay where they are. */
export async function assembleProjectImage(
  world: ProjectWorld,
  spec: ImageSpec,
  platforms: readonly ImageLayers[],
): Promise<Result<Pick<ImageReport, 'result'>>> {
  const { deps, edge, signal, common } = world;
  const results = [];
  for (const { platform, layers } of platforms) {
    const made = layers.map((layer) => layer.made);
    const stack = await stackOf(world, spec.base, made, platform);
    if (!stack.ok) return stack;
    const config = withDeltas(stack.value.config, [imageDelta(spec.config)]);
    const { chain, history } = stack.value;
    const own = made.flatMap((layer) => layer.history);
    const parts = {
      ...{ chain, platform, history: [...history, ...own], baseHistory: history },
      config: { ...platform, config },
    };
    results.push({ chain, platform, parts });
  }
  const fetch = createMaterializer(deps);
  const trees = openTrees(common, deps, { id: `image-${spec.name}`, fetch });
  const outputs =
    world.outputs.length > 0
      ? world.outputs
      : [{ type: 'image' as const, attrs: new Map<string, string>() }];
  const written = await writeOutputs(
    {
      deps: {
        ...deps,
        ...edge,
        trees: trees.provider,
        fetchBlob: createBlobFetcher(deps),
        materialise: fetch,
      },
      report: { ...deps, signal },
      results,
      tags: spec.tags,
    },
    outputs,
  );
  if (!written.ok) return written;
  return ok(written.value.image === undefined ? {} : { result: written.value.image });
}

const MAX_OVERLAPS = 100;

/** Files that several layers have, of which none needs the other; and the layers whose files are not known here. */
export async function findOverlaps(
  world: ProjectWorld,
  layers: ImageLayers['layers'],
): Promise<{ readonly overlaps: readonly Overlap[]; readonly notCompared: readonly string[] }> {
  const { snapshotter } = world.deps;
  const owners = new Map<string, string[]>();
  const notCompared: string[] = [];
  for (const { keyed, made } of layers) {
    const paths = await pathsOf(snapshotter, made.chain);
    if (paths === undefined) notCompared.push(keyed.spec.name);
    else for (const path of paths) owners.set(path, [...(owners.get(path) ?? []), keyed.spec.name]);
  }
  const needs = new Map(
    layers.map(({ keyed }) => [keyed.spec.name, keyed.below.map(({ spec }) => spec.name)]),
  );
  const related = (a: string, b: string): boolean => needs.get(b)?.includes(a) === true;
  const overlaps = [...owners]
    .filter(([, names]) => names.some((name, i) => i > 0 && !related(names[i - 1] ?? '', name)))
    .map(([path, names]) => ({ path, layers: names }))
    .slice(0, MAX_OVERLAPS);
  return { overlaps, notCompared };
}

/** Files and links of a layer, none of its directories; undefined where it is not extracted here. */
async function pathsOf(
  snapshotter: ProjectWorld['deps']['snapshotter'],
  chain: LayerChain,
): Promise<ReadonlySet<string> | undefined> {
  const paths = new Set<string>();
  for (const [i] of chain.entries()) {
    const part = chain.slice(0, i + 1);
    if (!(await snapshotter.has(part))) return undefined;
    for (const entry of snapshotter.entries(part))
      if (entry.kind === 'gone' || entry.entry.type !== 'dir') paths.add(entry.path);
  }
  return paths;
}
