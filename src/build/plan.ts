import { randomBytes } from 'node:crypto';
import { type Digest, err, ok, type Result } from '../base/index.ts';
import type { EventSink } from '../events/index.ts';
import { createMaterializer } from '../ops/index.ts';
import { createSolver, type PlannedStep } from '../solve/index.ts';
import type { BuildDeps } from './deps.ts';
import { lowerFully, lowerRequest } from './lower-rounds.ts';
import { openBuild } from './open-build.ts';
import { locate } from './platform-result.ts';
import type { BuildRequest } from './request.ts';
import { openTrees, solverDeps } from './solving.ts';
import { stepTexts } from './step-texts.ts';

/**
 * Says for each step of a build whether it would be found or run. Nothing is run, recorded or written; local directories
 * and what the look-up needs of base images are read. Caches of `--cache-from` are not asked: their keys would be kept.
 */
export async function planBuild(
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<readonly PlannedStep[]>> {
  const id = `plan-${randomBytes(12).toString('hex')}`;
  const opened = await openBuild(asked, deps, { signal });
  if (!opened.ok) return opened;
  const { world, file } = opened.value;
  const { request, images, layouts } = world;
  const trees = openTrees(request, deps, { id, fetch: createMaterializer(deps) });
  const solver = createSolver(
    solverDeps({
      ...{ request, deps, images, layouts, trees },
      logPath: () => undefined,
      isLost: () => false,
    }),
  );
  await using lease = deps.leases.open(id);
  const steps = new Map<Digest, PlannedStep>();
  const wanted = request.platforms.length === 0 ? [undefined] : request.platforms;
  for (const platform of wanted) {
    const lowered = await lowerFully(world, lowerRequest(world, file, platform));
    if (!lowered.ok) return err(lowered.error.failure);
    const { definition } = lowered.value;
    const failing = firstFailing();
    const texts = stepTexts(file, request);
    const emit = failing.accept;
    const planned = await solver.plan(definition, { signal, lease, emit, texts });
    if (!planned.ok) return err(locate(planned.error, definition, failing.vertex(), file));
    for (const step of planned.value) steps.set(step.vertex.digest, step);
  }
  return ok([...steps.values()]);
}

function firstFailing(): {
  readonly accept: EventSink;
  readonly vertex: () => Digest | undefined;
} {
  let first: Digest | undefined;
  return {
    accept: (event) => {
      if (event.type === 'vertex-completed' && event.error !== undefined) first ??= event.vertex;
    },
    vertex: () => first,
  };
}
