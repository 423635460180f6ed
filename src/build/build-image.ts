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
import { withKnownPlaces } from '../export/index.ts';
import type { Definition } from '../llb/index.ts';
import { formatPlatform, type Platform } from '../oci/index.ts';
import {
  createBlobDownload,
  createBlobFetcher,
  createLayerIndexes,
  createMaterializer,
  type MaterializerDeps,
} from '../ops/index.ts';
import type { LayerIndexes, LayerRef, Lease, TreeProvider } from '../ports/index.ts';
import { createSolver, type Solution } from '../solve/index.ts';
import type { Attester } from './attester.ts';
import { openCacheRemote } from './cache-remotes.ts';
import { checkSigners } from './cache-signing.ts';
import { ImportedSources } from './cache-sources.ts';
import type { BuildDeps } from './deps.ts';
import { exportCaches, inlineCache } from './export-cache.ts';
import { exportMounts } from './export-mounts.ts';
import { importCaches } from './import-caches.ts';
import { type ImportedTraces, importedTraces } from './import-traces.ts';
import { imageIndexFinder, pushImageIndexes } from './inline-indexes.ts';
import { LostLayers } from './lost-layers.ts';
import { type Lowered, type LowerWorld, lowerFully, lowerRequest } from './lower-rounds.ts';
import { mountOffers } from './mount-offers.ts';
import { type MountUse, mountsOf } from './mount-use.ts';
import { openBuild } from './open-build.ts';
import { type OutputDeps, type PlatformResult, type Written, writeOutputs } from './outputs.ts';
import { locate, platformResult } from './platform-result.ts';
import { type HistoryRecorder, recordHistory } from './record-history.ts';
import { reportSources } from './report-sources.ts';
import type { BuildRequest, CachePlace } from './request.ts';
import { openTrees, solverDeps, type Trees } from './solving.ts';
import { projectOf, stepTexts } from './step-texts.ts';

/** What a build came to. */
export interface BuildOutcome extends Written {
  readonly id: string;
  readonly executed: number;
  readonly cached: number;
}

/** What only the program's edge can do for a build. */
export type BuildEdge = Pick<OutputDeps, 'writeOut' | 'loadDocker'> & {
  readonly signal: AbortSignal;
  /** Takes the results besides the outputs, while the build still holds them. */
  readonly take?: (results: readonly PlatformResult[], deps: OutputDeps) => Promise<Result<void>>;
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
  const followers: EventSink[] = [];
  const emit: EventSink = (event) => {
    recorder.accept(event);
    failing.accept(event);
    for (const follower of followers) follower(event);
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
  const build = new Build(
    request,
    {
      ...{ ...deps, emit },
      registry: withKnownPlaces(deps.registry, deps.memo),
    },
    {
      ...{ id, startedAt, lease, recorder, failing, edge },
      follow: (sink) => followers.push(sink),
    },
  );
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
    project: projectOf(request),
    branch: request.branch,
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
  readonly startedAt: number;
  readonly lease: Lease;
  readonly recorder: HistoryRecorder;
  readonly failing: FailingSteps;
  readonly edge: BuildEdge;
  /** Has one more reader see the events from now on. */
  readonly follow: (sink: EventSink) => void;
}

class Build {
  #request: BuildRequest;
  readonly #deps: BuildDeps;
  readonly #state: BuildState;
  readonly #lost: LostLayers;
  /** Cache mounts of every definition that was solved. */
  readonly #mounts: MountUse[] = [];
  readonly #indexes: LayerIndexes;
  #sources = new ImportedSources();
  #tracesFromElsewhere: ImportedTraces['bring'] | undefined;

  constructor(request: BuildRequest, deps: BuildDeps, state: BuildState) {
    this.#request = request;
    this.#deps = deps;
    this.#state = state;
    this.#lost = new LostLayers(deps.memo, (layer, why) => this.#sayLost(layer, why));
    this.#indexes = createLayerIndexes({
      ...deps,
      download: createBlobDownload(deps),
      referring: imageIndexFinder(deps.registry),
    });
  }

  async run(): Promise<Result<Written>> {
    const { signal } = this.#state.edge;
    const { lease } = this.#state;
    const opened = await openBuild(this.#request, this.#deps, { signal, lease });
    if (!opened.ok) return opened;
    const { world, file } = opened.value;
    const { request } = world;
    this.#request = request;
    const signers = await checkSigners(request.cacheTo, this.#deps.clock);
    if (!signers.ok) return signers;
    if (request.noCache !== 'all') {
      const elsewhere = importedTraces(this.#deps, projectOf(request));
      this.#tracesFromElsewhere = elsewhere.bring;
      const imported = await importCaches(
        { ...this.#deps, indexes: this.#indexes, elsewhere },
        request.cacheFrom,
        { ...this.#deps, signal },
      );
      if (!imported.ok) return imported;
      this.#sources = imported.value;
      this.#state.follow(imported.value.accept);
    }
    for (;;) {
      const { count } = this.#lost;
      const done = await this.#buildAll(world, file);
      // A cache did not keep its promise: what it promised is made here. Each turn finds more lost, so that this ends.
      if (done.ok || this.#lost.count === count) return await this.#reported(done);
      this.#state.failing.first = undefined;
    }
  }

  /** Says what each given cache was good for. */
  async #reported(done: Result<Written>): Promise<Result<Written>> {
    const metadata = await reportSources(this.#sources, this.#deps);
    return done.ok
      ? ok({ ...done.value, metadata: { ...done.value.metadata, ...metadata } })
      : done;
  }

  async #buildAll(world: LowerWorld, file: SourceFile): Promise<Result<Written>> {
    const request = this.#request;
    const { signal } = world;
    const trees = openTrees(request, this.#deps, {
      id: this.#state.id,
      fetch: createMaterializer(this.#fetchDeps()),
      indexes: this.#indexes,
    });
    const wanted = request.platforms.length === 0 ? [undefined] : request.platforms;
    const results: SolvedPlatform[] = [];
    for (const platform of wanted) {
      const result = await this.#buildPlatform(world, file, platform, trees);
      if (!result.ok) return result;
      results.push(result.value);
    }
    const deps = this.#outputDeps(trees.provider);
    const report = { ...this.#deps, signal };
    const written = await writeOutputs(
      {
        ...{ deps, report, results, tags: request.tags },
        ...(await this.#attester(results, { file, trees: trees.provider })),
      },
      request.outputs,
    );
    if (!written.ok) return written;
    const taken = await this.#state.edge.take?.(results, deps);
    if (taken?.ok === false) return taken;
    const exportDeps = {
      ...{ ...this.#deps, ...deps },
      openRemote: (place: CachePlace) => openCacheRemote(this.#deps, place),
      download: createBlobDownload(this.#deps),
    };
    const exported = await exportCaches(
      exportDeps,
      { records: results.flatMap((r) => r.records), targets: request.cacheTo },
      report,
    );
    if (!exported.ok) return exported;
    if (this.#isInline()) {
      const indexed = await pushImageIndexes(exportDeps, written.value.pushed ?? [], report);
      if (!indexed.ok) return indexed;
    }
    const what = { targets: request.cacheTo, wanted: this.#mounts };
    const stored = await exportMounts(this.#deps, what, report);
    if (!stored.ok) return stored;
    return ok({ ...written.value, configs: results.map(({ parts }) => parts.config) });
  }

  /** Nobody asked, nothing is loaded. */
  async #attester(
    results: readonly SolvedPlatform[],
    world: { readonly file: SourceFile; readonly trees: TreeProvider },
  ): Promise<{ readonly attester?: Attester }> {
    const { attestations: wanted } = this.#request;
    if (wanted === undefined) return {};
    const { createAttester } = await import('./attester.ts');
    const { buildPlatform, clock, paths } = this.#deps;
    const { id, startedAt } = this.#state;
    const made = results.map((result) => ({ ...result, result }));
    const request = this.#request;
    return {
      attester: createAttester({
        ...{ wanted, id, startedAt, request, buildPlatform, clock, made, workDir: paths.work },
        ...world,
      }),
    };
  }

  async #buildPlatform(
    world: LowerWorld,
    file: SourceFile,
    platform: Platform | undefined,
    trees: Trees,
  ): Promise<Result<SolvedPlatform>> {
    const lowered = await lowerFully(world, lowerRequest(world, file, platform));
    // Every platform is made of the same file: as BuildKit does, what it is warned of is said once.
    if (platform === world.request.platforms[0])
      this.#warn(lowered.ok ? lowered.value.warnings : lowered.error.warnings, file);
    if (!lowered.ok) return err(lowered.error.failure);
    const solved = await this.#solve(lowered.value.definition, world, { trees, file });
    if (!solved.ok) return solved;
    const { chain, records, sources } = solved.value;
    const result = platformResult(lowered.value, chain);
    const how = { definition: lowered.value.definition, sources };
    if (!this.#isInline()) return ok({ ...result, ...how, records });
    const inline = inlineCache(this.#deps.cache, records, chain);
    const parts = { ...result.parts, ...(inline === undefined ? {} : { inlineCache: inline }) };
    return ok({ ...result, ...how, parts, records });
  }

  #isInline(): boolean {
    return this.#request.cacheTo.some(({ place }) => place.kind === 'inline');
  }

  async #solve(
    definition: Definition,
    { images, layouts, signal }: LowerWorld,
    { trees, file }: { readonly trees: Trees; readonly file: SourceFile },
  ): Promise<Result<Solution>> {
    if (definition.result === undefined) return ok({ chain: [], records: [], sources: new Map() });
    this.#mounts.push(...mountsOf(definition));
    const solver = createSolver(
      solverDeps({
        request: this.#request,
        deps: this.#deps,
        images,
        layouts,
        trees,
        logPath: (vertex) => this.#state.recorder.logPath(vertex),
        sources: this.#sources,
        isLost: (chain) => this.#lost.among(chain),
        offers: mountOffers(this.#deps, this.#request.cacheFrom),
        ...(this.#tracesFromElsewhere === undefined
          ? {}
          : { tracesFromElsewhere: this.#tracesFromElsewhere }),
      }),
    );
    const { emit } = this.#deps;
    const { lease } = this.#state;
    const texts = stepTexts(file, this.#request);
    const solved = await solver.solve(definition, { signal, emit, lease, texts });
    return solved.ok
      ? solved
      : err(locate(solved.error, definition, this.#state.failing.first, file));
  }

  #fetchDeps(): MaterializerDeps {
    const { elsewhere, fetched } = this.#sources;
    return {
      ...this.#deps,
      ...{ onLost: this.#lost.add, elsewhere },
      onFetched: (layer, blob) => fetched(layer, blob.size),
    };
  }

  #outputDeps(trees: TreeProvider): OutputDeps {
    const { writeOut, loadDocker } = this.#state.edge;
    return {
      ...this.#deps,
      trees,
      fetchBlob: createBlobFetcher(this.#fetchDeps()),
      materialise: createMaterializer(this.#fetchDeps()),
      indexes: this.#indexes,
      writeOut,
      loadDocker,
    };
  }

  #sayLost(layer: LayerRef, why: Failure): void {
    const place = (layer.origin ?? '').replace(/^(?:docker-image|oci-layout):\/\//, '');
    this.#deps.emit({
      type: 'warning',
      vertex: sha256(`[internal] load build definition from ${this.#dockerfileName()}`),
      rule: 'CacheLayerLost',
      message: `layer ${layer.diffId ?? layer.id} of the cache in ${place} cannot be used, so its steps are run: ${why.message}`,
    });
  }

  #dockerfileName(): string {
    const { dockerfile } = this.#request;
    return dockerfile.kind === 'file' ? dockerfile.name : 'Dockerfile';
  }

  #warn(warnings: Lowered['warnings'], file: SourceFile): void {
    const vertex = sha256(`[internal] load build definition from ${this.#dockerfileName()}`);
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

/** A result, the records that lead to it, and what it was made from. */
type SolvedPlatform = PlatformResult &
  Pick<Solution, 'records' | 'sources'> & { readonly definition: Definition };
