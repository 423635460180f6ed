import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Model } from '../advice/index.ts';
import {
  appended,
  type ImageContent,
  type ProofBuild,
  readTree,
  type Scenario,
  withOtherBase,
} from '../analyze/index.ts';
import { type Digest, err, failure, ok, type Result, TempDir } from '../base/index.ts';
import {
  type BuildDeps,
  type BuildRequest,
  buildImage,
  type DockerfileLocation,
} from '../build/index.ts';
import { openLocalSource } from '../context/index.ts';
import type { Event } from '../events/index.ts';
import type { HistoryDb, TraceDb } from '../ports/index.ts';
import { createBuildDeps } from './build-world.ts';
import type { Io } from './io.ts';
import { type Store, storePaths } from './store.ts';

/** A Dockerfile, and the ignore file where it is another one than the project's. */
export interface TrialVariant {
  readonly text: string;
  readonly ignore?: string;
}

/** What a trial build did. */
export interface TrialSteps {
  /** Steps that were executed, of all that make the image; sources and links are no steps. */
  readonly executed: readonly string[];
  readonly steps: readonly string[];
  readonly seconds: number;
  /** Milliseconds of each executed step. */
  readonly took: ReadonlyMap<string, number>;
  /** Bytes of the layer that each executed step wrote. */
  readonly wrote: ReadonlyMap<string, number>;
  readonly bytes: number;
}

/** Builds that leave no trace in the history: they are made to compare Dockerfiles. */
export class TrialBuilds {
  readonly #io: Io;
  readonly #store: Store;
  readonly #request: BuildRequest;
  readonly #resources: AsyncDisposableStack;

  constructor(io: Io, store: Store, request: BuildRequest, resources: AsyncDisposableStack) {
    this.#io = io;
    this.#store = store;
    this.#request = request;
    this.#resources = resources;
  }

  /** The image of a Dockerfile over the context as it is. */
  async image(
    text: string,
    { fresh, args, ignore, target, programs = false }: ProofBuild,
  ): Promise<Result<ImageContent>> {
    let content: Awaited<ReturnType<typeof readTree>> | undefined;
    const built = await buildImage(
      {
        ...this.#asked({ text, ...(ignore === undefined ? {} : { ignore }) }),
        ...(target === undefined ? {} : { target }),
        buildArgs: { ...this.#request.buildArgs, ...args },
        ...(fresh ? { noCache: 'all' as const } : {}),
        outputs: [{ type: 'tar', dest: '-', attrs: new Map() }],
      },
      this.#deps(() => undefined),
      this.#edge(async (tar) => {
        content = await readTree(tar, { programs });
      }),
    );
    if (!built.ok) return built;
    if (content === undefined) throw new Error('a build with an output writes it');
    return content.ok ? ok({ ...content.value, config: built.value.configs?.[0] }) : content;
  }

  /** What a build of a Dockerfile executes, over the context or another directory. */
  async steps(
    variant: TrialVariant,
    { directory, fresh }: { readonly directory?: string; readonly fresh?: boolean } = {},
  ): Promise<Result<TrialSteps>> {
    const watch = new StepWatch();
    const deps = this.#deps(watch.accept);
    const context = directory === undefined ? undefined : this.#open(directory);
    if (context?.ok === false) return context;
    const began = this.#io.clock.now();
    const built = await buildImage(
      {
        ...this.#asked(variant),
        ...(context === undefined ? {} : { context: context.value }),
        outputs: [],
        ...(fresh === true ? { noCache: 'all' as const } : {}),
      },
      deps,
      this.#edge(() => Promise.resolve()),
    );
    if (!built.ok) return built;
    const seconds = (this.#io.clock.now() - began) / 1000;
    const wrote = await this.#bytesOf(watch.keys());
    const bytes = [...wrote.values()].reduce((sum, each) => sum + each, 0);
    return ok({ ...watch.result(), seconds, wrote, bytes });
  }

  /** Builds, makes an edit, and builds again in a copy of the context: what the second build executed. */
  async scenario(
    { model, ignore }: { readonly model: Model; readonly ignore?: string },
    scenario: Scenario,
    nonce: string,
  ): Promise<Result<TrialSteps>> {
    const { root } = this.#request.context;
    if (root === undefined)
      return err(
        failure('CL002', 2, 'only a directory can be measured', { help: 'use --no-measure' }),
      );
    await using copy = await TempDir.create(storePaths(this.#store.root).tmp, 'trial-');
    const directory = join(copy.path, 'context');
    await cp(root, directory, {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
    const ignored = ignore === undefined ? {} : { ignore };
    const first = await this.steps({ text: model.file.text, ...ignored }, { directory });
    if (!first.ok) return first;
    if (scenario.file !== undefined)
      await appendFile(join(directory, scenario.file), appended(scenario.file, nonce));
    const text = scenario.name === 'base' ? withOtherBase(model, nonce) : model.file.text;
    const second = await this.steps({ text, ...ignored }, { directory });
    if (!second.ok || scenario.name !== 'base') return second;
    // The file that stands for another base is no step of the Dockerfile.
    const own = (name: string): boolean => !name.includes('/.varve-base');
    const { executed, steps } = second.value;
    return ok({ ...second.value, executed: executed.filter(own), steps: steps.filter(own) });
  }

  #open(directory: string): ReturnType<typeof openLocalSource> {
    const { clock } = this.#io;
    return openLocalSource(directory, { clock, indexDir: storePaths(this.#store.root).contexts });
  }

  #asked(variant: TrialVariant): BuildRequest {
    const dockerfile = withTexts(this.#request.dockerfile, variant);
    return { ...this.#request, dockerfile, tags: [], cacheFrom: [], cacheTo: [] };
  }

  #deps(emit: (event: Event) => void): BuildDeps {
    const deps = createBuildDeps(this.#io, this.#store, this.#resources, emit);
    return { ...deps, history: NO_HISTORY, traces: NO_TRACES };
  }

  #edge(
    writeOut: (data: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Parameters<typeof buildImage>[2] {
    return { signal: this.#io.signal, writeOut, loadDocker: () => Promise.resolve(ok('absent')) };
  }

  async #bytesOf(keys: ReadonlyMap<string, Digest>): Promise<ReadonlyMap<string, number>> {
    if (keys.size === 0) return new Map();
    const { layerBytes } = await import('./layer-bytes.ts');
    const bytesOf = await layerBytes(this.#io, this.#store);
    return new Map([...keys].map(([name, key]) => [name, bytesOf(key) ?? 0]));
  }
}

/** The location of a Dockerfile with other texts of it and of its ignore file; what lies beside it is still found. */
function withTexts(
  location: DockerfileLocation,
  { text, ignore }: TrialVariant,
): DockerfileLocation {
  if (location.kind === 'text') return { ...location, text };
  const { dir, name } = location;
  // The ignore file of a Dockerfile of its own has precedence over the context's.
  const texts = new Map([
    [name, text],
    ...(ignore === undefined ? [] : [[`${name}.dockerignore`, ignore] as const]),
  ]);
  return {
    ...location,
    dir: {
      describes: dir.describes,
      ...(dir.root === undefined ? {} : { root: dir.root }),
      tree: (options) => dir.tree(options),
      readFile: (path, options) => {
        const other = texts.get(path);
        return other === undefined
          ? dir.readFile(path, options)
          : Promise.resolve(ok(Buffer.from(other)));
      },
    },
  };
}

/** Gathers the steps of one build from its events. */
class StepWatch {
  readonly #names = new Map<string, string>();
  readonly #began = new Map<string, number>();
  readonly #took = new Map<string, number>();
  readonly #executed = new Map<string, Digest>();
  readonly #steps = new Set<string>();

  readonly accept = (event: Event): void => {
    switch (event.type) {
      case 'vertex':
        this.#names.set(event.vertex, event.name);
        return;
      case 'vertex-started':
        this.#began.set(event.vertex, this.#began.get(event.vertex) ?? event.at);
        return;
      case 'vertex-completed':
        this.#took.set(event.vertex, event.at - (this.#began.get(event.vertex) ?? event.at));
        return;
      case 'decision':
        if (!isStep(this.#names.get(event.vertex) ?? '')) return;
        this.#steps.add(event.vertex);
        if (event.decision.outcome !== 'hit') this.#executed.set(event.vertex, event.decision.key);
        return;
      default:
    }
  };

  /** Executed steps by name, with the digest of their record. */
  keys(): ReadonlyMap<string, Digest> {
    return new Map([...this.#executed].map(([id, key]) => [this.#names.get(id) ?? id, key]));
  }

  result(): Pick<TrialSteps, 'executed' | 'steps' | 'took'> {
    const named = (ids: Iterable<string>): readonly string[] =>
      [...ids].map((id) => this.#names.get(id) ?? id);
    return {
      executed: named(this.#executed.keys()),
      steps: named(this.#steps),
      took: new Map(
        [...this.#executed.keys()].map((id) => [
          this.#names.get(id) ?? id,
          this.#took.get(id) ?? 0,
        ]),
      ),
    };
  }
}

/** Steps of the Dockerfile; what loads sources, or puts a linked copy on its base, is none. */
const isStep = (name: string): boolean =>
  /^\[[^\]]*\] /.test(name) &&
  !/^\[(?:internal|context )/.test(name) &&
  !/^\[[^\]]*\] (?:FROM|LINK) /.test(name);

const NO_HISTORY: HistoryDb = {
  startBuild: () => undefined,
  finishBuild: () => undefined,
  saveStep: () => undefined,
  builds: () => [],
  steps: () => [],
  removeBuild: () => false,
};

const NO_TRACES: TraceDb = {
  remember: () => undefined,
  traces: () => [],
  tracesAbove: () => [],
  listing: () => undefined,
  madeBy: () => [],
  merge: () => undefined,
};
