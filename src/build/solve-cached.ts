import { randomBytes } from 'node:crypto';
import { err, failure, ok, type Result } from '../base/index.ts';
import { formatReference, parseReference, withDefaultTag } from '../oci/index.ts';
import {
  createMaterializer,
  type FoundImage,
  type ImageResolver,
  imageChain,
} from '../ops/index.ts';
import type { CacheDb, LayerChain, OpDriver, RecordId } from '../ports/index.ts';
import { createSolver, type PlannedStep, type SolverDeps } from '../solve/index.ts';
import type { BuildDeps } from './deps.ts';
import { lowerFully, lowerRequest } from './lower-rounds.ts';
import { type MountUse, mountsOf } from './mount-use.ts';
import { openBuild } from './open-build.ts';
import type { BuildRequest } from './request.ts';
import { openTrees, solverDeps } from './solving.ts';

/** What a build would take out of the store. */
export interface CachedBuild {
  /** Records of its results. */
  readonly records: readonly RecordId[];
  /** Its images by the name under which the next build looks for them. */
  readonly images: ReadonlyMap<string, FoundImage>;
  readonly mounts: readonly MountUse[];
}

/** The failure of what would have to run a step. */
export function notInStore(steps: readonly PlannedStep[]): Result<never> {
  const missing = steps.filter((step) => step.state === 'run');
  const [first] = missing;
  const count = `${missing.length} of ${steps.length} steps would run`;
  return err(
    failure('RC040', 1, `${count}, the first of them "${first?.name ?? ''}"`, {
      details: missing.map(({ name, decision }) => `${name}: ${decision.reason}`),
      help: 'build it, or name a cache that has it with --cache-from',
    }),
  );
}

/** Finds the results of a build all of whose steps are cached; nothing is executed. */
export async function solveCached(
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<CachedBuild>> {
  const id = `cached-${randomBytes(12).toString('hex')}`;
  await using lease = deps.leases.open(id);
  const opened = await openBuild(asked, deps, { signal, lease });
  if (!opened.ok) return opened;
  const { world: first, file } = opened.value;
  const found = new Map<string, FoundImage>();
  const world = { ...first, images: noting(first.images, found) };
  const { request, images, layouts } = world;
  const trees = openTrees(request, deps, { id, fetch: createMaterializer(deps) });
  const solver = createSolver(
    withoutRuns(
      solverDeps({
        ...{ request, deps, images, layouts, trees },
        logPath: () => undefined,
        isLost: () => false,
      }),
    ),
  );
  const records: RecordId[] = [];
  const mounts: MountUse[] = [];
  for (const platform of request.platforms.length === 0 ? [undefined] : request.platforms) {
    const lowered = await lowerFully(world, lowerRequest(world, file, platform));
    if (!lowered.ok) return err(lowered.error.failure);
    const { definition } = lowered.value;
    mounts.push(...mountsOf(definition));
    if (definition.result === undefined) continue;
    const solved = await solver.solve(definition, { signal, lease, emit: deps.emit });
    if (!solved.ok) return solved;
    records.push(...solved.value.records);
  }
  return ok({ records, images: found, mounts });
}

/** Steps of every kind but sources refuse to run: what is not cached is reported, not made. */
function withoutRuns(deps: SolverDeps): SolverDeps {
  const refusing: OpDriver['run'] = ({ vertex }) =>
    Promise.resolve(
      err(
        failure(
          'RC040',
          1,
          `${vertex.metadata.description['llb.customname'] ?? 'a step'} is not cached`,
        ),
      ),
    );
  return {
    ...deps,
    resolver: (vertex) => {
      const driver = deps.resolver(vertex);
      return vertex.op.body.kind === 'source'
        ? driver
        : {
            cacheMap: (context) => driver.cacheMap(context),
            contentKey: (context, index, input) => driver.contentKey(context, index, input),
            run: refusing,
          };
    },
  };
}

/** A resolver that notes what it found, by the full name it was asked for. */
function noting(images: ImageResolver, found: Map<string, FoundImage>): ImageResolver {
  return {
    layout: (dir, ref, options) => images.layout(dir, ref, options),
    image: async (ref, options) => {
      const image = await images.image(ref, options);
      const parsed = parseReference(ref);
      if (image.ok && parsed.ok)
        found.set(formatReference(withDefaultTag(parsed.value)), image.value);
      return image;
    },
  };
}

/** Every result that leads to the records, and the images: what steps above a change start from. */
export function chainsOf(
  cache: CacheDb,
  build: Pick<CachedBuild, 'records' | 'images'>,
): readonly LayerChain[] {
  const chains = [...build.images.values()].map((image) => imageChain(image, 0));
  const seen = new Set<RecordId>();
  const pending = [...build.records];
  for (let record = pending.pop(); record !== undefined; record = pending.pop()) {
    if (seen.has(record)) continue;
    seen.add(record);
    const [result] = cache.results(record);
    if (result !== undefined) chains.push(result.chain);
    for (const { record: input } of cache.inputsOf(record).flat()) pending.push(input);
  }
  return chains;
}
