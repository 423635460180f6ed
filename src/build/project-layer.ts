import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { err, type Failure, failure, isRecord, ok, type Result, TempDir } from '../base/index.ts';
import { makeImage, pushImage, storeImage } from '../export/index.ts';
import type { ImageParts } from '../image/index.ts';
import { MAX_CONFIG_BYTES } from '../oci/index.ts';
import type { LocalSource, Registry } from '../ports/index.ts';
import { BASE, LISTS } from '../project/index.ts';
import { buildImage } from './build-image.ts';
import type { BuildDeps } from './deps.ts';
import { internalVertex } from './internal-step.ts';
import type { OutputDeps, PlatformResult } from './outputs.ts';
import { configDelta } from './project-config.ts';
import {
  factsOf,
  ignoreTextOf,
  ownIgnoreText,
  readLists,
  recipeFile,
  templateFile,
} from './project-keys.ts';
import { LAYER_MEMBER, saidOf } from './project-lookup.ts';
import { baseBelow, type Stack, stackImage, stackOf } from './project-stack.ts';
import type { KeyedLayer, MadeLayer, ProjectWorld } from './project-types.ts';
import type { BuildRequest, NamedContext } from './request.ts';

/** A layer that was built. */
export interface BuiltLayer extends MadeLayer {
  readonly ref: string;
  readonly bytes: number;
}

/** Builds a layer over what it needs, and keeps what it added as an image of its own. */
export async function buildLayer(
  world: ProjectWorld,
  layer: KeyedLayer,
  {
    below,
    uses,
  }: {
    readonly below: readonly MadeLayer[];
    /** The layers of each layer that the recipe copies from, itself included, lowest first. */
    readonly uses: readonly (readonly MadeLayer[])[];
  },
): Promise<Result<BuiltLayer>> {
  const { spec, platform } = layer;
  const stack = await stackOf(world, baseBelow(spec, layer.below), below, platform);
  if (!stack.ok) return stack;
  await using dir = await TempDir.create(world.deps.paths.work, 'layer-');
  const request = await layerRequest(world, layer, stack.value, dir.path);
  if (!request.ok) return request;
  const namedContexts = new Map(request.value.namedContexts);
  for (const [i, use] of layer.uses.entries()) {
    const whole = await stackOf(world, baseBelow(use.spec, use.below), uses[i] ?? [], platform);
    if (!whole.ok) return whole;
    const image = stackImage(world, whole.value, platform);
    namedContexts.set(use.spec.name, { kind: 'stack', images: [{ image, platform }] });
  }
  const startedAt = world.deps.clock.now();
  const made: BuiltLayer[] = [];
  const done = await buildImage({ ...request.value, namedContexts }, world.deps, {
    ...world.edge,
    signal: world.signal,
    take: async ([result], deps) => {
      if (result === undefined) throw new Error('a build has a result');
      const unchanged = await inputsUnchanged(world, layer);
      if (!unchanged.ok) return unchanged;
      const costMs = deps.clock.now() - startedAt;
      const kept = await keepLayer(world, { layer, stack: stack.value, result, costMs }, deps);
      if (!kept.ok) return kept;
      made.push(kept.value);
      return ok(undefined);
    },
  });
  if (!done.ok) return err(placed(world, spec, done.error));
  const [only] = made;
  if (only === undefined) throw new Error('the layer was not kept');
  return ok(only);
}

/**
 * A download that is another file is shown where its digest is written; what goes wrong in the text of a recipe, with the layer
 * that has it.
 */
function placed(world: ProjectWorld, { urls, span }: KeyedLayer['spec'], error: Failure): Failure {
  const { file } = world.project;
  const url = urls.find(({ digest }) => error.message.includes(digest));
  if (error.code === 'SR004' && url !== undefined)
    return { ...error, places: [{ file, span: url.span }] };
  const places = error.places ?? [];
  return places.some((place) => place.file.path.startsWith(`${file.path} (`))
    ? { ...error, places: [...places, { file, span, note: 'the layer' }] }
    : error;
}

async function layerRequest(
  world: ProjectWorld,
  layer: KeyedLayer,
  stack: Stack,
  dir: string,
): Promise<Result<BuildRequest>> {
  const { spec, platform } = layer;
  const isRoot = spec.recipe.kind === 'template' || spec.recipe.kind === 'packages';
  const file = isRoot
    ? ok({ path: world.project.file.path, text: `FROM ${BASE}\n` })
    : await recipeFile(world, spec);
  if (!file.ok) return file;
  const contexts = new Map<string, NamedContext>(world.common.namedContexts);
  if (isRoot) {
    const template = await templateFile(world, spec, dir);
    if (!template.ok) return template;
    contexts.set(BASE, { kind: 'template', file: template.value });
  } else if (stack.chain.length === 0 && Object.keys(stack.config).length === 0)
    contexts.set(BASE, { kind: 'image', ref: 'scratch' });
  else {
    const image = stackImage(world, stack, platform);
    contexts.set(BASE, { kind: 'stack', images: [{ image, platform }] });
  }
  const lists = await listDirectory(world, layer, dir);
  if (!lists.ok) return lists;
  if (lists.value !== undefined) contexts.set(LISTS, { kind: 'local', source: lists.value });
  const own = await ownIgnoreText(world);
  if (!own.ok) return own;
  const target = spec.recipe.kind === 'dockerfile' ? spec.recipe.target : undefined;
  return ok({
    ...world.common,
    name: `${world.project.name}/${spec.name}`,
    dockerfile: { kind: 'text', text: file.value.text, shown: file.value.path },
    context: declaredOnly(world.context, ignoreTextOf(spec, own.value)),
    contextKind: 'directory',
    namedContexts: contexts,
    buildArgs: { ...spec.args },
    platforms: [platform],
    tags: [],
    outputs: [],
    noCache: world.noCache || world.freshSteps === true ? 'all' : [],
    ...(target === undefined ? {} : { target }),
  });
}

/** A context in which only the declared files are. */
function declaredOnly(source: LocalSource, ignore: string): LocalSource {
  return {
    describes: source.describes,
    ...(source.root === undefined ? {} : { root: source.root }),
    readFile: (path, options) =>
      path === '.dockerignore'
        ? Promise.resolve(ok(Buffer.from(ignore)))
        : source.readFile(path, options),
    tree: (options) => source.tree(options),
  };
}

async function listDirectory(
  world: ProjectWorld,
  { spec }: KeyedLayer,
  dir: string,
): Promise<Result<LocalSource | undefined>> {
  if (spec.lists.length === 0) return ok(undefined);
  const lists = await readLists(world, spec);
  if (!lists.ok) return lists;
  for (const [path, text] of lists.value) {
    const to = join(dir, 'lists', join('/', path));
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, text);
  }
  return world.openDirectory(join(dir, 'lists'));
}

/** A file that was edited while its layer was built must not be taken for what the layer was made of. */
async function inputsUnchanged(world: ProjectWorld, layer: KeyedLayer): Promise<Result<void>> {
  const others = [...layer.below, ...layer.uses];
  const needs = [...layer.spec.needs, ...layer.spec.uses].flatMap((name) =>
    others.filter(({ spec }) => spec.name === name).slice(0, 1),
  );
  const facts = await factsOf(world, layer.spec, { platform: layer.platform, needs });
  if (!facts.ok) return facts;
  if (JSON.stringify(facts.value) === JSON.stringify(layer.facts)) return ok(undefined);
  return err(
    failure('PJ011', 2, `inputs of layer "${layer.spec.name}" changed while it was built`, {
      help: 'build again: nothing was kept',
    }),
  );
}

interface Kept {
  readonly layer: KeyedLayer;
  readonly stack: Stack;
  readonly result: PlatformResult;
  readonly costMs: number;
}

async function keepLayer(
  world: ProjectWorld,
  { layer, stack, result, costMs }: Kept,
  deps: OutputDeps,
): Promise<Result<BuiltLayer>> {
  const { spec } = layer;
  const own = result.chain.slice(stack.chain.length);
  const stands = stack.chain.every(({ diffId }, i) => result.chain[i]?.diffId === diffId);
  if (!stands)
    return err(
      failure('PJ012', 2, `the recipe of layer "${spec.name}" does not end on its base`, {
        help: `its last stage has to begin with FROM ${BASE}`,
        places: [{ file: world.project.file, span: spec.span }],
      }),
    );
  const after = isRecord(result.parts.config['config']) ? result.parts.config['config'] : {};
  const config = configDelta(stack.config, after);
  const parts: ImageParts = {
    ...result.parts,
    chain: own,
    history: result.parts.history.slice(stack.chain.length),
    config: {
      ...result.platform,
      config: {},
      [LAYER_MEMBER]: {
        name: spec.name,
        key: layer.key,
        project: world.project.name,
        needs: spec.needs,
        config,
        costMs: Math.round(costMs),
      },
    },
  };
  const ref = world.places.own(spec.name, layer.key);
  const title = `keeping layer ${spec.name}`;
  return await internalVertex({ ...deps, emit: world.deps.emit }, title, async (step) => {
    const context = { signal: world.signal, emit: world.deps.emit, vertex: step.op };
    const options = { compression: 'gzip' as const, force: false, remake: true };
    const image = await makeImage(
      deps,
      [parts],
      { ...options, mediaTypes: 'oci', names: [ref] },
      context,
    );
    if (!image.ok) return image;
    storeImage(deps, image.value);
    if (world.pushLayers && world.places.remote) {
      const pushed = await pushImage(deps, image.value, context);
      if (!pushed.ok) return pushed;
    }
    const blobs = image.value.images.flatMap(({ layers }) => layers);
    const chain = own.map((ref, i) => ({
      ...ref,
      ...(blobs[i] === undefined ? {} : { diffId: blobs[i].diffId, blob: blobs[i].blob }),
    }));
    const bytes = blobs.reduce((sum, { blob }) => sum + blob.size, 0);
    const digest = image.value.images[0]?.config.digest;
    if (digest === undefined) throw new Error('an image of one platform was made');
    const written = await deps.content.read(digest, { maxBytes: MAX_CONFIG_BYTES });
    if (!written.ok) return written;
    // Read back, so that an image is the same whether its layers were built now or found.
    const said = saidOf(written.value, layer);
    if (said === undefined) throw new Error('the image says which layer it is');
    return ok({ ...said, chain, ref, bytes });
  });
}

/** A registry that counts the bytes of blobs that pass. */
export function countingRegistry({ registry, content }: Pick<BuildDeps, 'registry' | 'content'>): {
  readonly registry: Registry;
  readonly moved: { pulled: number; pushed: number };
} {
  const moved = { pulled: 0, pushed: 0 };
  return {
    moved,
    registry: {
      resolve: (ref, options) => registry.resolve(ref, options),
      manifest: (ref, options) => registry.manifest(ref, options),
      pushManifest: (ref, bytes, mediaType, options) =>
        registry.pushManifest(ref, bytes, mediaType, options),
      pushReferrer: (ref, referrer, options) => registry.pushReferrer(ref, referrer, options),
      referrers: (ref, subject, options) => registry.referrers(ref, subject, options),
      pullBlob: async (ref, blob, options) => {
        const here = (await content.size(blob.digest)) === blob.size;
        const done = await registry.pullBlob(ref, blob, options);
        if (done.ok && !here) moved.pulled += blob.size;
        return done;
      },
      pushBlob: async (ref, blob, options) => {
        const done = await registry.pushBlob(ref, blob, options);
        if (done.ok && done.value === 'uploaded') moved.pushed += blob.size;
        return done;
      },
    },
  };
}
