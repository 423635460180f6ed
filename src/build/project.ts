import { awaitAll, err, type Failure, failure, ok, type Result, Semaphore } from '../base/index.ts';
import { withKnownPlaces } from '../export/index.ts';
import { formatPlatform, type Platform } from '../oci/index.ts';
import { type Goals, type ImageSpec, type LayerSpec, layersBelow } from '../project/index.ts';
import { assembleProjectImage, findOverlaps, type ImageLayers } from './project-image.ts';
import { keyLayers } from './project-keys.ts';
import { buildLayer, countingRegistry } from './project-layer.ts';
import { findLayer } from './project-lookup.ts';
import { layerCause, rememberLayer } from './project-memory.ts';
import type {
  ImageReport,
  KeyedLayer,
  LayerReport,
  MadeLayer,
  ProjectReport,
  ProjectWorld,
} from './project-types.ts';

/** A layer's line of the report, and the layer where there is one. */
interface Done {
  readonly keyed: KeyedLayer;
  readonly report: LayerReport;
  readonly made?: MadeLayer;
}

/**
 * Builds layers and images of a project: for each layer its key, whether it is here or at the registry, and else its
 * recipe; independent layers at once. A layer that fails stops those that need it, and no others.
 */
export async function buildProject(
  world: ProjectWorld,
  goals: Pick<Goals, 'layers' | 'images'>,
): Promise<Result<ProjectReport>> {
  const startedAt = world.deps.clock.now();
  const run = new ProjectRun(world, startedAt);
  for (const [platform, specs] of platformsOf(world, goals)) {
    const keyed = await keyLayers(world, specs, platform);
    if (!keyed.ok) return keyed;
    run.add(keyed.value, platform);
  }
  const layers = await run.all(new Set(goals.layers.map(({ name }) => name)));
  const images: ImageReport[] = [];
  for (const image of goals.images) images.push(await run.image(image));
  return ok({
    project: world.project.name,
    layers,
    images,
    ms: world.deps.clock.now() - startedAt,
  });
}

/** The layers that each platform needs. */
export function platformsOf(
  { common, deps, project }: Pick<ProjectWorld, 'common' | 'deps' | 'project'>,
  goals: Pick<Goals, 'layers' | 'images'>,
): readonly (readonly [Platform, readonly LayerSpec[]])[] {
  const byName = new Map<string, { readonly platform: Platform; readonly names: Set<string> }>();
  const want = (platform: Platform, names: readonly string[]): void => {
    const key = formatPlatform(platform);
    const row = byName.get(key) ?? { platform, names: new Set<string>() };
    for (const name of names) row.names.add(name);
    byName.set(key, row);
  };
  const own = common.platforms.length > 0 ? common.platforms : [deps.buildPlatform];
  const inImages = new Set(
    goals.images.flatMap((image) => layersBelow(project.layers, image.layers)),
  );
  for (const image of goals.images)
    for (const platform of imagePlatforms(image.platforms, own)) want(platform, image.layers);
  const alone = goals.layers.filter((layer) => !inImages.has(layer)).map(({ name }) => name);
  if (alone.length > 0) for (const platform of own) want(platform, alone);
  return [...byName.values()].map(
    ({ platform, names }) =>
      [platform, layersBelow(project.layers, [...names], { uses: true })] as const,
  );
}

function imagePlatforms(texts: readonly string[], own: readonly Platform[]): readonly Platform[] {
  if (texts.length === 0) return own;
  return texts.map((text) => {
    const [os = 'linux', architecture = 'amd64', variant] = text.split('/');
    return { os, architecture, ...(variant === undefined ? {} : { variant }) };
  });
}

class ProjectRun {
  readonly #world: ProjectWorld;
  readonly #startedAt: number;
  readonly #slots: Semaphore;
  readonly #keyed = new Map<string, KeyedLayer>();
  readonly #done = new Map<string, Promise<Done>>();
  readonly #platforms: Platform[] = [];

  constructor(world: ProjectWorld, startedAt: number) {
    this.#world = world;
    this.#startedAt = startedAt;
    this.#slots = new Semaphore(world.jobs);
  }

  add(keyed: ReadonlyMap<string, KeyedLayer>, platform: Platform): void {
    this.#platforms.push(platform);
    for (const layer of keyed.values()) this.#keyed.set(idOf(layer), layer);
  }

  /** Makes the layers with these names, and what they turn out to use. */
  async all(wanted: ReadonlySet<string>): Promise<readonly LayerReport[]> {
    const layers = [...this.#keyed.values()];
    await awaitAll(
      layers.filter(({ spec }) => wanted.has(spec.name)).map((layer) => this.#make(layer)),
    );
    const made = layers.flatMap((layer) => this.#done.get(idOf(layer)) ?? []);
    return (await awaitAll(made)).map(({ report }) => report);
  }

  /** Each layer is made once, whoever needs it. */
  #make(layer: KeyedLayer): Promise<Done> {
    const id = idOf(layer);
    const known = this.#done.get(id);
    if (known !== undefined) return known;
    const made = this.#findOrBuild(layer);
    this.#done.set(id, made);
    return made;
  }

  async #findOrBuild(keyed: KeyedLayer): Promise<Done> {
    const { deps, project, places, noCache } = this.#world;
    const from = deps.clock.now();
    const counted = countingRegistry(deps);
    const world = { ...this.#world, deps: { ...deps, registry: counted.registry } };
    const row = (report: Pick<LayerReport, 'state'> & Partial<LayerReport>): LayerReport => ({
      layer: keyed.spec.name,
      platform: formatPlatform(keyed.platform),
      key: keyed.key,
      ref: places.own(keyed.spec.name, keyed.key),
      bytes: 0,
      ms: deps.clock.now() - from,
      savedMs: 0,
      ...counted.moved,
      ...report,
    });
    const found = noCache ? ok(undefined) : await findLayer(world, keyed);
    if (!found.ok) return { keyed, report: row({ state: 'failed', failure: found.error }) };
    if (found.value !== undefined) {
      const { state, ref, bytes, costMs } = found.value;
      rememberLayer(deps.memo, project.name, keyed, found.value);
      const sent = state === 'here' ? await this.#keepElsewhere(world, keyed, ref) : ok(undefined);
      if (!sent.ok) return { keyed, report: row({ state: 'failed', failure: sent.error }) };
      return { keyed, made: found.value, report: row({ state, ref, bytes, savedMs: costMs }) };
    }
    const cause = noCache
      ? { kind: 'no cache' as const, layer: keyed.spec.name, changes: [] }
      : layerCause(deps.memo, project.name, keyed);
    const below = await this.#stack(keyed.below);
    const uses = await awaitAll(keyed.uses.map((use) => this.#stack([...use.below, use])));
    if (below === undefined || uses.includes(undefined))
      return { keyed, report: row({ state: 'skipped', cause }) };
    return await this.#slots.run(this.#world.signal, async () => {
      const began = deps.clock.now();
      const startedMs = began - this.#startedAt;
      const stacks = uses.filter((use) => use !== undefined);
      const built = await buildLayer(world, keyed, { below, uses: stacks });
      const ms = deps.clock.now() - began;
      if (!built.ok)
        return {
          keyed,
          report: row({ state: 'failed', cause, ms, startedMs, failure: built.error }),
        };
      rememberLayer(deps.memo, project.name, keyed, built.value);
      const { ref, bytes } = built.value;
      return {
        keyed,
        made: built.value,
        report: row({ state: 'built', cause, ms, startedMs, ref, bytes }),
      };
    });
  }

  /** Layers that are made; undefined where one of them could not be. */
  async #stack(layers: readonly KeyedLayer[]): Promise<readonly MadeLayer[] | undefined> {
    const done = await awaitAll(layers.map((layer) => this.#make(layer)));
    const made = done.flatMap((layer) => layer.made ?? []);
    return made.length === layers.length ? made : undefined;
  }

  /** A layer that is here only is pushed when layers are. */
  async #keepElsewhere(world: ProjectWorld, keyed: KeyedLayer, ref: string): Promise<Result<void>> {
    if (!world.pushLayers || !world.places.remote) return ok(undefined);
    const { pushStoredLayer } = await import('./project-push.ts');
    return await pushStoredLayer(world, keyed, ref);
  }

  async image(spec: ImageSpec): Promise<ImageReport> {
    const { deps } = this.#world;
    const from = deps.clock.now();
    const counted = countingRegistry({
      content: deps.content,
      registry: withKnownPlaces(deps.registry, deps.memo),
    });
    const world = { ...this.#world, deps: { ...deps, registry: counted.registry } };
    const report = (more: Partial<ImageReport>): ImageReport => ({
      image: spec.name,
      tags: spec.tags,
      moved: counted.moved.pulled + counted.moved.pushed,
      ms: deps.clock.now() - from,
      overlaps: [],
      notCompared: [],
      ...more,
    });
    const own = this.#world.common.platforms;
    const wanted = imagePlatforms(spec.platforms, own.length > 0 ? own : [deps.buildPlatform]);
    const all: ImageLayers[] = [];
    for (const platform of wanted) {
      const layers = await this.#layersOf(spec.layers, platform);
      if (layers === undefined)
        return report({
          failure: failure(
            'PJ013',
            1,
            `image "${spec.name}" was not made: a layer of it is missing`,
          ),
        });
      all.push({ platform, layers });
    }
    const done = await assembleProjectImage(world, spec, all);
    if (!done.ok) return report({ failure: named(world, spec, done.error) });
    const compared = await findOverlaps(world, all[0]?.layers ?? []);
    return report({ ...done.value, ...compared });
  }

  async #layersOf(
    names: readonly string[],
    platform: Platform,
  ): Promise<ImageLayers['layers'] | undefined> {
    const layers = [];
    for (const { name } of layersBelow(this.#world.project.layers, names)) {
      const done = await this.#done.get(`${name} ${formatPlatform(platform)}`);
      if (done?.made === undefined) return undefined;
      layers.push({ keyed: done.keyed, made: done.made });
    }
    return layers;
  }
}

/** An image without a name is shown where it is described. */
function named({ project }: ProjectWorld, spec: ImageSpec, error: Failure): Failure {
  if (error.code !== 'EX002') return error;
  const message = `image "${spec.name}" has no tags and cannot be pushed`;
  return {
    ...error,
    message,
    help: 'give it tags',
    places: [{ file: project.file, span: spec.span }],
  };
}

const idOf = ({ spec, platform }: KeyedLayer): string => `${spec.name} ${formatPlatform(platform)}`;

/** The first failure of a report, with the others behind it. */
export function reportFailure(report: ProjectReport): Result<void> {
  const failures = [...report.layers, ...report.images].flatMap((row) => row.failure ?? []);
  const [first, ...also] = failures.filter(({ code }, i) => i === 0 || code !== 'PJ013');
  return first === undefined ? ok(undefined) : err(also.length === 0 ? first : { ...first, also });
}
