import { randomBytes } from 'node:crypto';
import {
  type Digest,
  diskFailure,
  err,
  type Failure,
  FailureError,
  goJson,
  ok,
  type Result,
  type SourceFile,
  sha256,
} from '../base/index.ts';
import type { Event, EventSink } from '../events/index.ts';
import type { Definition } from '../llb/index.ts';
import { formatPlatform, type Platform } from '../oci/index.ts';
import {
  createBlobFetcher,
  createImageResolver,
  createMaterializer,
  createOpResolver,
  createTreeProvider,
  type ImageResolver,
  LocalSources,
} from '../ops/index.ts';
import type { LayerChain, Lease, LocalSource, TreeProvider } from '../ports/index.ts';
import { createSolver } from '../solve/index.ts';
import { contextValues } from './context-values.ts';
import type { BuildDeps } from './deps.ts';
import {
  type Lowered,
  type LowerWorld,
  layoutDir,
  lowerFully,
  lowerRequest,
  MAIN_CONTEXT,
} from './lower-rounds.ts';
import { type OutputDeps, type PlatformResult, type Written, writeOutputs } from './outputs.ts';
import { locate, platformResult } from './platform-result.ts';
import { readDockerfile } from './read-dockerfile.ts';
import { type HistoryRecorder, recordHistory } from './record-history.ts';
import type { BuildRequest } from './request.ts';

/** What a build came to. */
export interface BuildOutcome extends Written {
  readonly id: string;
  readonly executed: number;
  readonly cached: number;
}

/** What only the program's edge can do for a build. */
export type BuildEdge = Pick<OutputDeps, 'writeOut' | 'loadDocker'> & {
  readonly signal: AbortSignal;
};

/**
 * Leads one build from request to result: reads the Dockerfile, asks the front end until every question is answered, solves,
 * writes the outputs, and records all of it in the history.
 */
export async function buildImage(
  request: BuildRequest,
  deps: BuildDeps,
  edge: BuildEdge,
): Promise<Result<BuildOutcome>> {
  const id = randomBytes(12).toString('hex');
  const recorder = recordHistory(deps.history, { id, logs: deps.paths.logs });
  const failing = new FailingSteps();
  const emit: EventSink = (event) => {
    recorder.accept(event);
    failing.accept(event);
    deps.emit(event);
  };
  const startedAt = deps.clock.now();
  deps.history.startBuild({ id, startedAt, name: request.name, request: describe(request) });
  emit({ type: 'build-started', build: id, at: startedAt });
  const finish = (failed?: Failure, image?: Digest): void => {
    const at = deps.clock.now();
    const end = { at, ...(failed === undefined ? {} : { failure: failed }) };
    deps.history.finishBuild(id, { ...end, ...(image === undefined ? {} : { image }) });
    emit({ type: 'build-finished', build: id, ...end });
  };
  await using lease = deps.leases.open(`build ${id}`);
  const build = new Build(request, { ...deps, emit }, { id, lease, recorder, failing, edge });
  try {
    const done = await build.run();
    finish(done.ok ? undefined : done.error, done.ok ? done.value.image?.target.digest : undefined);
    return done.ok ? ok({ ...done.value, id, ...recorder.counts() }) : done;
  } catch (e) {
    const known = e instanceof FailureError ? e.failure : diskFailure(e);
    if (known !== undefined) {
      finish(known);
      return err(known);
    }
    finish({ code: 'CL000', exit: 3, message: e instanceof Error ? e.message : String(e) });
    throw e;
  }
}

/** The request as it is kept: no secret, no value that could be one. */
function describe(request: BuildRequest): string {
  return goJson({
    dockerfile: request.dockerfile.shown,
    context: request.context.describes,
    target: request.target,
    buildArgs: Object.keys(request.buildArgs),
    platforms: request.platforms.map(formatPlatform),
    tags: request.tags,
  });
}

/** Which op of a definition failed first, so that the failure can say where in the file. */
class FailingSteps {
  first: Digest | undefined;

  accept(event: Event): void {
    if (event.type !== 'vertex-completed' || event.error === undefined) return;
    if (!event.error.endsWith('context canceled')) this.first ??= event.vertex;
  }
}

interface BuildState {
  readonly id: string;
  readonly lease: Lease;
  readonly recorder: HistoryRecorder;
  readonly failing: FailingSteps;
  readonly edge: BuildEdge;
}

class Build {
  readonly #request: BuildRequest;
  readonly #deps: BuildDeps;
  readonly #state: BuildState;
  readonly #images: ImageResolver;
  readonly #layouts = new Map<string, string>();

  constructor(request: BuildRequest, deps: BuildDeps, state: BuildState) {
    this.#request = request;
    this.#deps = deps;
    this.#state = state;
    this.#images = createImageResolver(deps);
  }

  async run(): Promise<Result<Written>> {
    const request = this.#request;
    const { signal } = this.#state.edge;
    const file = await readDockerfile(request.dockerfile, { ...this.#deps, signal });
    if (!file.ok) return file;
    const contexts = await contextValues(request, {
      images: this.#images,
      buildPlatform: this.#deps.buildPlatform,
      layouts: this.#layouts,
      signal,
    });
    if (!contexts.ok) return contexts;
    const world: LowerWorld = {
      deps: this.#deps,
      request,
      images: this.#images,
      layouts: this.#layouts,
      contexts: contexts.value,
      signal,
    };
    const trees = this.#trees();
    const wanted = request.platforms.length === 0 ? [undefined] : request.platforms;
    const results: PlatformResult[] = [];
    for (const platform of wanted) {
      const result = await this.#buildPlatform(world, file.value, platform, trees);
      if (!result.ok) return result;
      results.push(result.value);
    }
    return await writeOutputs(
      {
        deps: this.#outputDeps(trees.provider),
        report: { ...this.#deps, signal },
        results,
        tags: request.tags,
      },
      request.outputs,
    );
  }

  async #buildPlatform(
    world: LowerWorld,
    file: SourceFile,
    platform: Platform | undefined,
    trees: Trees,
  ): Promise<Result<PlatformResult>> {
    const lowered = await lowerFully(world, lowerRequest(world, file, platform));
    this.#warn(lowered.ok ? lowered.value.warnings : lowered.error.warnings, file);
    if (!lowered.ok) return err(lowered.error.failure);
    const chain = await this.#solve(lowered.value.definition, trees, file);
    if (!chain.ok) return chain;
    return ok(platformResult(lowered.value, chain.value));
  }

  async #solve(
    definition: Definition,
    trees: Trees,
    file: SourceFile,
  ): Promise<Result<LayerChain>> {
    if (definition.result === undefined) return ok([]);
    const { signal } = this.#state.edge;
    const solver = createSolver({
      ...this.#deps,
      resolver: createOpResolver({
        ...this.#deps,
        trees: trees.provider,
        locals: trees.locals,
        images: this.#images,
        mode: this.#request.pull ? 'registry' : 'local-first',
        layoutDir: (ref) => layoutDir(this.#layouts, ref),
        secrets: this.#request.secrets,
        limits: this.#request.limits,
        logPath: (vertex) => this.#state.recorder.logPath(vertex),
        workDir: this.#deps.paths.work,
      }),
      available: (chain) => this.#available(chain),
    });
    const { emit } = this.#deps;
    const solved = await solver.solve(definition, { signal, emit, lease: this.#state.lease });
    return solved.ok
      ? ok(solved.value.chain)
      : err(locate(solved.error, definition, this.#state.failing.first, file));
  }

  /** Whether every layer is extracted, or its blob here or somewhere known. */
  async #available(chain: LayerChain): Promise<boolean> {
    const { snapshotter, content, layers } = this.#deps;
    for (const [i, layer] of chain.entries()) {
      if (layer.origin !== undefined && layer.blob !== undefined) continue;
      if (await snapshotter.has(chain.slice(0, i + 1))) continue;
      const blobs = [
        ...(layer.blob === undefined ? [] : [layer.blob]),
        ...(layers.layer(layer.id)?.blobs ?? []),
      ];
      let here = false;
      for (const blob of blobs) here ||= (await content.size(blob.digest)) === blob.size;
      if (!here) return false;
    }
    return true;
  }

  #trees(): Trees {
    const { namedContexts, context } = this.#request;
    const sources = new Map<string, LocalSource>([[MAIN_CONTEXT, context]]);
    for (const [name, named] of namedContexts)
      if (named.kind === 'local') sources.set(name, named.source);
    const locals = new LocalSources(this.#state.id, sources);
    const provider = createTreeProvider({
      ...this.#deps,
      locals,
      fetch: createMaterializer(this.#deps),
    });
    return { locals, provider };
  }

  #outputDeps(trees: TreeProvider): OutputDeps {
    const { writeOut, loadDocker } = this.#state.edge;
    return {
      ...this.#deps,
      trees,
      fetchBlob: createBlobFetcher(this.#deps),
      materialise: createMaterializer(this.#deps),
      writeOut,
      loadDocker,
    };
  }

  #warn(warnings: Lowered['warnings'], file: SourceFile): void {
    const { dockerfile } = this.#request;
    const name = dockerfile.kind === 'file' ? dockerfile.name : 'Dockerfile';
    const vertex = sha256(`[internal] load build definition from ${name}`);
    for (const w of warnings)
      this.#deps.emit({
        type: 'warning',
        vertex,
        rule: w.rule,
        message: `${w.message} (line ${w.lines[0]})`,
        ...(w.url === '' ? {} : { url: w.url }),
        detail: [w.description],
        file: file.path,
        lines: [w.lines],
      });
  }
}

interface Trees {
  readonly locals: LocalSources;
  readonly provider: TreeProvider;
}
