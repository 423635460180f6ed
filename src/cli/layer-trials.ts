import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type ImageContent, listTree } from '../analyze/index.ts';
import { err, ok, type Result, TempDir } from '../base/index.ts';
import { type BuildDeps, type ProjectReport, projectBuilds } from '../build/index.ts';
import { MAX_CONFIG_BYTES } from '../oci/index.ts';
import { goalsOf, layerTag, parseProjectFile } from '../project/index.ts';
import type { Options } from './build-request.ts';
import { createBuildDeps } from './build-world.ts';
import { checkOut } from './git-commits.ts';
import type { Io } from './io.ts';
import { type OpenProject, projectWorld } from './project-world.ts';
import { type Store, storePaths } from './store.ts';

/** What rebuilding a project after a commit took. */
export interface TrialBake {
  readonly built: readonly string[];
  readonly seconds: number;
  /** Compressed bytes of the layers that were built: what is pushed, and fetched elsewhere. */
  readonly bytes: number;
}

/** A project under names of its own in the store, so that nothing that was built before is found and nothing is left behind. */
export class LayerTrials implements AsyncDisposable {
  readonly #io: Io;
  readonly #store: Store;
  readonly #open: OpenProject;
  readonly #options: Options;
  readonly #stack = new AsyncDisposableStack();
  readonly #names = new Set<string>();
  readonly #nonce: string;

  constructor(
    io: Io,
    {
      store,
      open,
      options,
      nonce,
    }: {
      readonly store: Store;
      readonly open: OpenProject;
      readonly options: Options;
      readonly nonce: string;
    },
  ) {
    [this.#io, this.#store, this.#open, this.#options] = [io, store, open, options];
    this.#nonce = nonce;
  }

  /** The images of the project's directory with another text of its file, by name. */
  async images(text: string): Promise<Result<ReadonlyMap<string, ImageContent>>> {
    const contents = new Map<string, ImageContent>();
    for (const image of this.#open.project.images.keys()) {
      let tree: Awaited<ReturnType<typeof listTree>> | undefined;
      const baked = await this.#bake(text, {
        ...{ dir: this.#open.dir, variant: 'proof', names: [image], fresh: false },
        take: async (tar) => {
          tree = await listTree(tar);
        },
      });
      if (!baked.ok) return baked;
      if (tree === undefined) throw new Error('a build with an output writes it');
      if (!tree.ok) return tree;
      const digest = baked.value.report.images[0]?.result?.images[0]?.config.digest;
      if (digest === undefined) throw new Error('an image has a configuration');
      const read = await baked.value.deps.content.read(digest, { maxBytes: MAX_CONFIG_BYTES });
      if (!read.ok) return read;
      const { parseJson } = await import('../base/index.ts');
      const config = parseJson(Buffer.from(read.value).toString('utf8'));
      contents.set(image, { tree: tree.value, config: config.ok ? config.value : undefined });
    }
    return ok(contents);
  }

  /** Bakes the files of a commit with a text of the project file; each variant remembers what it built before. */
  async commit(
    text: string,
    { commit, variant }: { readonly commit: string; readonly variant: string },
  ): Promise<Result<TrialBake>> {
    await using copy = await TempDir.create(storePaths(this.#store.root).tmp, 'replay-');
    const dir = await checkOut(this.#io, this.#open.dir, { commit, to: copy.path });
    if (!dir.ok) return dir;
    await writeFile(join(dir.value, basename(this.#open.project.file.path)), text);
    const names = [...this.#open.project.images.keys()];
    const baked = await this.#bake(text, { dir: dir.value, variant, names, fresh: true });
    if (!baked.ok) return baked;
    const built = baked.value.report.layers.filter(({ state }) => state === 'built');
    return ok({
      built: built.map(({ layer }) => layer),
      seconds: built.reduce((sum, { ms }) => sum + ms, 0) / 1000,
      bytes: built.reduce((sum, { bytes }) => sum + bytes, 0),
    });
  }

  async #bake(
    text: string,
    {
      dir,
      variant,
      names,
      fresh,
      take,
    }: {
      readonly dir: string;
      readonly variant: string;
      readonly names: readonly string[];
      readonly fresh: boolean;
      readonly take?: (tar: AsyncIterable<Uint8Array>) => Promise<void>;
    },
  ): Promise<Result<{ readonly report: ProjectReport; readonly deps: BuildDeps }>> {
    const io = this.#io;
    const parsed = parseProjectFile({ path: this.#open.project.file.path, text }, io.env);
    if (!parsed.ok) return parsed;
    const repository = `varve.invalid/${this.#nonce}/${variant}`;
    const untagged = [...parsed.value.images].map(
      ([name, image]) => [name, { ...image, tags: [] }] as const,
    );
    const project = {
      ...parsed.value,
      store: { fallback: [], span: parsed.value.store.span },
      images: new Map(untagged),
    };
    const goals = goalsOf(project, names);
    if (!goals.ok) return goals;
    const made = createBuildDeps(io, this.#store, this.#stack, () => undefined);
    const deps = { ...made, memo: withoutLayers(made.memo) };
    const world = await projectWorld(
      io,
      { project, dir },
      {
        ...{ options: this.#options, deps, root: this.#store.root, resources: this.#stack },
        edge: {
          signal: io.signal,
          writeOut: async (tar) => {
            await take?.(tar);
          },
          loadDocker: () => Promise.resolve(ok('absent')),
        },
      },
    );
    if (!world.ok) return world;
    const attrs = new Map<string, string>();
    const { buildProject, reportFailure } = await projectBuilds();
    const report = await buildProject(
      {
        ...world.value,
        ...{ freshSteps: fresh, pushLayers: false },
        places: {
          remote: false,
          own: (layer, key) => this.#named(`${repository}:${layerTag(layer, key)}`),
          read: (layer, key) => [this.#named(`${repository}:${layerTag(layer, key)}`)],
        },
        outputs: [
          { type: 'image', attrs },
          ...(take === undefined ? [] : [{ type: 'tar' as const, dest: '-', attrs }]),
        ],
      },
      goals.value,
    );
    if (!report.ok) return report;
    const failed = reportFailure(report.value);
    return failed.ok ? ok({ report: report.value, deps }) : err(failed.error);
  }

  #named(ref: string): string {
    this.#names.add(ref);
    return ref;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#names) this.#store.db.images.remove(name);
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** What was built of layers is not remembered: trials are no history. */
function withoutLayers(memo: BuildDeps['memo']): BuildDeps['memo'] {
  const isOwn = (namespace: string): boolean => namespace.startsWith('project-layers');
  return {
    get: (namespace, key) => (isOwn(namespace) ? undefined : memo.get(namespace, key)),
    set: (namespace, key, value) => {
      if (!isOwn(namespace)) memo.set(namespace, key, value);
    },
    setAll: (namespace, entries) => {
      if (!isOwn(namespace)) memo.setAll(namespace, entries);
    },
  };
}
