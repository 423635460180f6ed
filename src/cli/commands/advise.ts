import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  adviseLayers,
  type BuiltFacts,
  type Commit,
  changesOf,
  compareImages,
} from '../../analyze/index.ts';
import { err, failure, isErrno, ok, type Result, type SourceFile } from '../../base/index.ts';
import { projectBuilds } from '../../build/index.ts';
import { editPools, listItems, type SplitPools, splitPools } from '../../project/index.ts';
import {
  type LayerAdvice,
  type LayerReplay,
  layerAdviceJson,
  layerAdviceText,
} from '../advise-text.ts';
import { Options } from '../build-request.ts';
import { createBuildDeps } from '../build-world.ts';
import { usage } from '../flags/csv.ts';
import { positive } from '../flags/limits.ts';
import { blobTexts, lastCommits } from '../git-commits.ts';
import { fail, type Io, printJson } from '../io.ts';
import { LayerTrials } from '../layer-trials.ts';
import { noProject, type OpenProject, openProject, projectWorld } from '../project-world.ts';
import { openStore, type Store } from '../store.ts';

/** A layer with nothing to do takes this long: a container is started, a layer written, an image kept (docs/projects.md). */
const PER_BUILT_LAYER = 0.5;
/** Two requests of a registry. */
const PER_LAYER = 0.05;
const COMMITS = 50;
const MEGABITS = 100;
/** Layers more than there are, where no budget is given. */
const MORE = 4;

/** `varve advise layers`: puts packages and directories into layers so that builds after commits like the past ones take least. */
export async function adviseLayersCommand(
  io: Io,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  const opened = openProject(io, options.text('file'));
  if (!opened.ok) return fail(io, opened.error);
  if (opened.value === undefined) return fail(io, noProject(undefined));
  const open = opened.value;
  const limits = numbersOf(options, open);
  if (!limits.ok) return fail(io, limits.error);
  await using resources = new AsyncDisposableStack();
  const store = openStore(io);
  if (!store.ok) return fail(io, store.error);
  resources.use(store.value);
  const work: Work = { io, open, options, store: store.value, resources, ...limits.value };
  const advised = await advise(work);
  if (!advised.ok) return fail(io, advised.error);
  const { advice, commits } = advised.value;
  const changes = advice.pools.filter(({ pieces }) => pieces.length > 0);
  const edited =
    changes.length === 0 ? ok(open.project.file) : editPools(open.project, changes, io.env);
  if (!edited.ok && (options.is('write') || options.text('replay') !== undefined))
    return fail(io, edited.error);
  const tried =
    edited.ok && changes.length > 0 ? await tryOut(work, edited.value, commits) : ok({});
  if (!tried.ok) return fail(io, tried.error);
  const report = { ...advice, ...tried.value };
  if (options.is('json'))
    printJson(io, layerAdviceJson(report, edited.ok ? edited.value.text : undefined));
  else io.out(layerAdviceText(report));
  if (!options.is('write') || changes.length === 0 || !edited.ok) return 0;
  const written = writeProject(open, edited.value);
  return written.ok ? 0 : fail(io, written.error);
}

interface Numbers {
  readonly budget: number;
  readonly commits: number;
  readonly perByte: number;
  readonly replay: number;
}

interface Work extends Numbers {
  readonly io: Io;
  readonly open: OpenProject;
  readonly options: Options;
  readonly store: Store;
  readonly resources: AsyncDisposableStack;
}

function numbersOf(options: Options, { project }: OpenProject): Result<Numbers> {
  const read = (flag: string, name: string, otherwise: number): Result<number> => {
    const value = positive(flag, options.text(name));
    return value.ok ? ok(value.value ?? otherwise) : value;
  };
  const count = project.layers.size;
  const budget = read('--budget', 'budget', count + MORE);
  if (!budget.ok) return budget;
  if (!Number.isInteger(budget.value))
    return usage('--budget', String(budget.value), 'not a whole number');
  const commits = read('--commits', 'commits', COMMITS);
  if (!commits.ok) return commits;
  const megabits = read('--bandwidth', 'bandwidth', MEGABITS);
  if (!megabits.ok) return megabits;
  const replay = options.text('replay') === undefined ? ok(0) : read('--replay', 'replay', 0);
  if (!replay.ok) return replay;
  return ok({
    budget: budget.value,
    commits: Math.ceil(commits.value),
    // Sent once and fetched once.
    perByte: (2 * 8) / (megabits.value * 1e6),
    replay: Math.ceil(replay.value),
  });
}

interface Advised {
  readonly advice: LayerAdvice;
  readonly commits: readonly Commit[];
}

/** Reads the history, what was built, and what may be grouped. */
async function advise(work: Work): Promise<Result<Advised>> {
  const { io, open, budget, perByte } = work;
  const { project } = open;
  const asked = Math.max(work.commits, work.replay + 1);
  const commits = await lastCommits(io, open.dir, asked);
  if (!commits.ok) return commits;
  const lists = [...project.layers.values()].flatMap((layer) =>
    layer.lists.map(({ path }) => path),
  );
  const ids = commits.value.flatMap(({ files }) =>
    lists.flatMap((path) => files.get(path)?.split(' ')[1] ?? []),
  );
  const texts = await blobTexts(io, open.dir, ids);
  if (!texts.ok) return texts;
  const textOf = (id: string): string => texts.value.get(id) ?? '';
  const split = splitPools(project, (path) => {
    const id = commits.value.at(-1)?.files.get(path)?.split(' ')[1];
    return id === undefined ? [] : [...listItems(textOf(id)).keys()];
  });
  const names = split.pools.flatMap(({ layers }) => layers.map(({ name }) => name));
  const built = await builtFacts(work, names);
  if (!built.ok) return built;
  const usable = withoutUnbuilt(split, built.value);
  const fixed =
    project.layers.size - usable.pools.reduce((sum, { layers }) => sum + layers.length, 0);
  if (budget - fixed < usable.pools.length)
    return usage(
      '--budget',
      String(budget),
      `the project needs ${fixed + usable.pools.length} layers at least`,
    );
  const costs = { perBuiltLayer: PER_BUILT_LAYER, perLayer: PER_LAYER, perByte };
  const history = { commits: commits.value, textOf, built: built.value, costs };
  const taken = new Set(project.layers.keys());
  const pools = adviseLayers(usable.pools, history, { budget: budget - fixed, taken });
  return ok({
    commits: commits.value,
    advice: {
      pools,
      kept: usable.kept,
      commits: Math.max(0, commits.value.length - 1),
      layers: project.layers.size,
      changed: changedCommits(usable, commits.value, textOf),
    },
  });
}

function changedCommits(
  { pools }: SplitPools,
  commits: readonly Commit[],
  textOf: (id: string) => string,
): number {
  const all = pools.map((pool) => changesOf(pool, commits, textOf));
  return commits.slice(1).filter((_, i) => all.some((changes) => (changes[i]?.size ?? 0) > 0))
    .length;
}

async function builtFacts(
  { io, open, options, store, resources }: Work,
  names: readonly string[],
): Promise<Result<readonly BuiltFacts[]>> {
  const deps = createBuildDeps(io, store, resources, () => undefined);
  const edge = {
    signal: io.signal,
    writeOut: () => Promise.resolve(),
    loadDocker: () => Promise.resolve(ok('absent' as const)),
  };
  const world = await projectWorld(io, open, { options, deps, edge, root: store.root, resources });
  if (!world.ok) return world;
  return await (await projectBuilds()).builtLayers(world.value, names);
}

/** Of a layer that was never built it is not known what its parts cost. */
function withoutUnbuilt({ pools, kept }: SplitPools, built: readonly BuiltFacts[]): SplitPools {
  const known = new Set(built.map(({ layer }) => layer));
  const more = new Map(kept);
  const usable = pools.filter(({ layers }) => {
    const missing = layers.filter(({ name }) => !known.has(name));
    for (const { name } of layers)
      if (missing.length > 0) more.set(name, 'was not built yet: run varve bake first');
    return missing.length === 0;
  });
  return { pools: usable, kept: more };
}

/** Builds both, where that is asked: the images must be equal, and the replay says what is gained. */
async function tryOut(
  work: Work,
  edited: SourceFile,
  commits: readonly Commit[],
): Promise<Result<Pick<LayerAdvice, 'proof' | 'replay'>>> {
  const { io, open, options, store, replay } = work;
  const proves = options.is('write') && !options.isNot('proof');
  if (!proves && replay === 0) return ok({});
  const nonce = `trial-${randomBytes(8).toString('hex')}`;
  await using trials = new LayerTrials(io, { store, open, options, nonce });
  const variants = [open.project.file.text, edited.text] as const;
  let proof: LayerAdvice['proof'];
  if (proves) {
    io.err('building both to compare their images\n');
    const proven = await prove(trials, variants);
    if (!proven.ok) return proven;
    proof = proven.value;
  }
  if (replay === 0) return ok(proof === undefined ? {} : { proof });
  const last = commits.slice(-replay - 1);
  const replays: LayerReplay[] = [];
  for (const { id } of last) {
    io.err(`building commit ${id.slice(0, 12)} with both\n`);
    const before = await trials.commit(variants[0], { commit: id, variant: 'before' });
    const after = before.ok
      ? await trials.commit(variants[1], { commit: id, variant: 'after' })
      : before;
    if (before.ok && after.ok)
      replays.push({ commit: id, before: before.value, after: after.value });
    else if (!after.ok) io.err(`not replayed: commit ${id.slice(0, 12)}: ${after.error.message}\n`);
  }
  // The first fills the cache.
  return ok({ ...(proof === undefined ? {} : { proof }), replay: replays.slice(1) });
}

async function prove(
  trials: LayerTrials,
  [before, after]: readonly [string, string],
): Promise<Result<{ readonly images: number; readonly paths: number }>> {
  const original = await trials.images(before);
  if (!original.ok) return original;
  const changed = await trials.images(after);
  if (!changed.ok) return changed;
  let paths = 0;
  for (const [name, image] of original.value) {
    const other = changed.value.get(name);
    if (other === undefined) throw new Error(`image ${name} was not built`);
    const compared = compareImages(image, other, { drops: [], unstable: new Set() });
    paths += compared.entries;
    if (compared.equal) continue;
    const [first] = compared.differences;
    const what =
      first === undefined
        ? (compared.config[0] ?? '')
        : `${first.path} (${first.before ?? 'absent'} -> ${first.after ?? 'absent'})`;
    return err(
      failure('PJ015', 1, `with the advised layers image "${name}" would be another one: ${what}`, {
        help: 'nothing was written: packages of these lists share files, so they belong into one layer',
      }),
    );
  }
  return ok({ images: original.value.size, paths });
}

function writeProject({ dir, project }: OpenProject, edited: SourceFile): Result<void> {
  const path = join(dir, basename(project.file.path));
  try {
    writeFileSync(path, edited.text);
    return ok(undefined);
  } catch (e) {
    if (!isErrno(e, 'EACCES', 'ENOENT', 'ENOSPC', 'EROFS')) throw e;
    return err(failure('EX001', 3, `writing ${path}: ${e.code ?? ''}`, { cause: e }));
  }
}
