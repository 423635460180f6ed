import { err, failure, ok, type Result, sha256, TempDir } from '../base/index.ts';
import { contentHasher, type FileTree } from '../cachekey/index.ts';
import { formatPlatform, type Platform } from '../oci/index.ts';
import {
  type Fact,
  type LayerSpec,
  layerKey,
  listText,
  recipeInstructions,
  recipeText,
} from '../project/index.ts';
import { LOCK_ATTR, lockKey, parseLock } from '../template/index.ts';
import type { KeyedLayer, ProjectWorld } from './project-types.ts';

const MAX_TEXT = 16 << 20;
/** Of more files the digests of the patterns are kept, not those of the files. */
const MAX_FILES = 2000;

/** The keys of layers for one platform, needs before needers. */
export async function keyLayers(
  world: ProjectWorld,
  specs: readonly LayerSpec[],
  platform: Platform,
): Promise<Result<ReadonlyMap<string, KeyedLayer>>> {
  const keyed = new Map<string, KeyedLayer>();
  for (const spec of specs) {
    const below = new Map<string, KeyedLayer>();
    for (const need of spec.needs) {
      const layer = keyed.get(need);
      if (layer === undefined) throw new Error(`layer ${need} has no key yet`);
      for (const lower of [...layer.below, layer]) below.set(lower.spec.name, lower);
    }
    const order = specs.map(({ name }) => name);
    const sorted = [...below.values()].sort(
      (a, b) => order.indexOf(a.spec.name) - order.indexOf(b.spec.name),
    );
    const uses = spec.uses.flatMap((name) => keyed.get(name) ?? []);
    const needs = spec.needs.flatMap((name) => keyed.get(name) ?? []);
    const facts = await factsOf(world, spec, { platform, needs: [...needs, ...uses] });
    if (!facts.ok) return facts;
    keyed.set(spec.name, {
      spec,
      platform,
      facts: facts.value,
      key: layerKey(facts.value),
      below: sorted,
      uses,
    });
  }
  return ok(keyed);
}

/** Everything that a layer's key is made of. */
export async function factsOf(
  world: ProjectWorld,
  spec: LayerSpec,
  { platform, needs }: { readonly platform: Platform; readonly needs: readonly KeyedLayer[] },
): Promise<Result<readonly Fact[]>> {
  const facts: Fact[] = [{ kind: 'platform', name: '', value: formatPlatform(platform) }];
  const base = await baseFact(world, spec, platform);
  if (!base.ok) return base;
  facts.push(base.value);
  for (const need of needs) facts.push({ kind: 'layer', name: need.spec.name, value: need.key });
  for (const [name, value] of Object.entries(spec.args))
    facts.push({ kind: 'argument', name, value });
  // The address does not count: the digest says what comes of it.
  for (const { name, digest } of spec.urls) facts.push({ kind: 'url', name, value: digest });
  if (spec.network !== 'default')
    facts.push({ kind: 'option', name: 'network', value: spec.network });
  const recipe = await recipeFacts(world, spec, platform);
  if (!recipe.ok) return recipe;
  facts.push(...recipe.value);
  const lists = await readLists(world, spec);
  if (!lists.ok) return lists;
  for (const [name, text] of lists.value) facts.push({ kind: 'list', name, value: sha256(text) });
  const files = await fileFacts(world, spec);
  return files.ok ? ok([...facts, ...files.value]) : files;
}

async function baseFact(
  world: ProjectWorld,
  spec: LayerSpec,
  platform: Platform,
): Promise<Result<Fact>> {
  if (spec.base === 'scratch') return ok({ kind: 'base', name: 'scratch', value: '' });
  const { signal } = world;
  const mode = world.common.pull ? 'registry' : 'local-first';
  const found = await world.images.image(spec.base, { platform, signal, mode });
  if (!found.ok) return found;
  // The layers and the configuration count, not the manifest: the same base under another name is the same.
  const { configDescriptor, diffIds } = found.value;
  return ok({
    kind: 'base',
    name: spec.base,
    value: sha256([configDescriptor.digest, ...diffIds].join('\n')),
  });
}

async function recipeFacts(
  world: ProjectWorld,
  spec: LayerSpec,
  platform: Platform,
): Promise<Result<readonly Fact[]>> {
  const { recipe } = spec;
  if (recipe.kind === 'template' || recipe.kind === 'packages')
    return await templateFacts(world, spec, platform);
  // Downloads are facts of their own.
  const text = await recipeFile(world, { ...spec, urls: [] });
  if (!text.ok) return text;
  const target = recipe.kind === 'dockerfile' ? recipe.target : undefined;
  const parts = recipeInstructions(text.value, target);
  if (!parts.ok) return parts;
  return ok(
    parts.value.map(({ text: name, parts: all }, i) => ({
      kind: 'instruction' as const,
      name: `${i + 1}: ${name}`,
      value: sha256(JSON.stringify(all)),
    })),
  );
}

/** The Dockerfile of a layer. */
export async function recipeFile(
  world: ProjectWorld,
  spec: LayerSpec,
): Promise<Result<{ readonly path: string; readonly text: string }>> {
  const { recipe } = spec;
  if (recipe.kind !== 'dockerfile')
    return ok({
      path: `${world.project.file.path} (layer ${spec.name})`,
      text: recipeText(spec, ''),
    });
  const text = await readInput(world, spec, recipe.path);
  return text.ok ? ok({ path: recipe.path, text: recipeText(spec, text.value) }) : text;
}

async function templateFacts(
  world: ProjectWorld,
  spec: LayerSpec,
  platform: Platform,
): Promise<Result<readonly Fact[]>> {
  await using dir = await TempDir.create(world.deps.paths.work, 'template-');
  const file = await templateFile(world, spec, dir.path);
  if (!file.ok) return file;
  const locked = await world.deps.packages.lockTemplate(file.value, platform, world.signal);
  if (!locked.ok) return locked;
  const lock = parseLock(locked.value.attrs[LOCK_ATTR] ?? '');
  if (!lock.ok) return lock;
  return ok([
    { kind: 'option', name: 'template', value: lockKey(lock.value) },
    { kind: 'option', name: 'configuration', value: sha256(JSON.stringify(lock.value.config)) },
    ...lock.value.packages.map((p) => ({
      kind: 'packages' as const,
      name: p.name,
      value: `${p.version} ${p.sha256}`,
    })),
  ]);
}

/** Path of the template of a layer that is one; `packages` are written to a file in `dir`. */
export async function templateFile(
  world: ProjectWorld,
  { recipe }: LayerSpec,
  dir: string,
): Promise<Result<string>> {
  if (recipe.kind === 'template') return ok(world.resolvePath(recipe.path));
  if (recipe.kind !== 'packages') throw new Error('the layer is no template');
  const { writeFile } = await import('node:fs/promises');
  const path = `${dir}/packages.yml`;
  await writeFile(path, recipe.text);
  return ok(path);
}

/** The lists of a layer as its recipe sees them, by file name. */
export async function readLists(
  world: ProjectWorld,
  spec: LayerSpec,
): Promise<Result<ReadonlyMap<string, string>>> {
  const lists = new Map<string, string>();
  for (const list of spec.lists) {
    const text = await readInput(world, spec, list.path);
    if (!text.ok) return text;
    lists.set(list.path, listText(text.value, list));
  }
  return ok(lists);
}

async function readInput(
  world: ProjectWorld,
  spec: LayerSpec,
  path: string,
): Promise<Result<string>> {
  const { signal } = world;
  const bytes = await world.context.readFile(path, { maxBytes: MAX_TEXT, signal });
  if (!bytes.ok) return bytes;
  return bytes.value === undefined
    ? err(missingInput(world, spec, path))
    : ok(Buffer.from(bytes.value).toString('utf8'));
}

function missingInput(
  world: ProjectWorld,
  spec: LayerSpec,
  path: string,
): ReturnType<typeof failure> {
  return failure('PJ010', 2, `layer "${spec.name}": there is no ${path}`, {
    help: 'inputs are paths below the directory of the project file',
    places: [{ file: world.project.file, span: spec.span }],
  });
}

/** The text of an ignore file that lets the declared files of a layer in, and what the project's own keeps out, out. */
export function ignoreTextOf(spec: LayerSpec, own: string): string {
  return ['**', ...spec.files.map((pattern) => `!${pattern.replace(/^\.?\//, '')}`), own].join(
    '\n',
  );
}

async function fileFacts(world: ProjectWorld, spec: LayerSpec): Promise<Result<readonly Fact[]>> {
  if (spec.files.length === 0) return ok([]);
  const { signal } = world;
  const { readIgnoreFile } = await import('../dockerfile/index.ts');
  const own = await ownIgnoreText(world);
  if (!own.ok) return own;
  const patterns = readIgnoreFile(ignoreTextOf(spec, own.value));
  if (!patterns.ok) return err(failure('PJ010', 2, `layer "${spec.name}": ${patterns.error}`));
  const options = { excludes: patterns.value, includes: [], follow: [], signal };
  const tree = await world.context.tree(options);
  if (!tree.ok) return tree;
  for (const pattern of spec.files) {
    const plain = !/[*?[\\]/.test(pattern);
    const path = `/${pattern.replace(/^\.?\//, '').replace(/\/$/, '')}`;
    if (plain && path !== '/.' && tree.value.lstat(path) === undefined)
      return err(missingInput(world, spec, pattern));
  }
  const paths = [...pathsIn(tree.value, '')];
  if (paths.length > MAX_FILES) {
    const whole = await contentHasher(tree.value).checksum({ path: '/' }, signal);
    if (!whole.ok) return err(failure('PJ010', 2, `layer "${spec.name}": ${whole.error}`));
    return ok([{ kind: 'file', name: spec.files.join(' '), value: whole.value }]);
  }
  const digests = await Promise.all(paths.map((path) => tree.value.digest(path, signal)));
  return ok(
    paths.map((path, i) => ({ kind: 'file', name: path.slice(1), value: digests[i] ?? '' })),
  );
}

/** The project's `.dockerignore`. */
export async function ownIgnoreText(world: ProjectWorld): Promise<Result<string>> {
  const { signal } = world;
  const bytes = await world.context.readFile('.dockerignore', { maxBytes: MAX_TEXT, signal });
  return bytes.ok ? ok(Buffer.from(bytes.value ?? []).toString('utf8')) : bytes;
}

function* pathsIn(tree: FileTree, dir: string): Generator<string> {
  for (const name of tree.list(dir === '' ? '/' : dir)) {
    const path = `${dir}/${name}`;
    yield path;
    if (tree.lstat(path)?.type === 'dir') yield* pathsIn(tree, path);
  }
}
