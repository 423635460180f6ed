import { type Digest, err, ok, type Result } from '../base/index.ts';
import type { Decision, EventSink } from '../events/index.ts';
import type { Definition } from '../llb/index.ts';
import type { LayerChain } from '../ports/index.ts';
import { BuildRun } from './build-run.ts';
import type { Edge } from './edge.ts';
import { takeOutput } from './executor.ts';
import { readOnlyCache } from './read-only-cache.ts';
import { stepIdentity } from './step-identity.ts';
import type { PlannedStep, Solver, SolverDeps, StepExecutor } from './types.ts';
import type { VertexWork } from './vertex-work.ts';

/** Says of each step whether a solve would find or execute it: the same look-up, with nothing executed or written. */
export async function plan(
  world: SolverDeps,
  definition: Definition,
  options: Parameters<Solver['plan']>[1],
): ReturnType<Solver['plan']> {
  options.signal.throwIfAborted();
  const { result } = definition;
  if (result === undefined) return ok([]);
  await using stack = new AsyncDisposableStack();
  const lease = options.lease ?? stack.use(world.leases.open('plan'));
  const deps = { ...world, cache: readOnlyCache(world.cache) };
  const planner = new Planner();
  const decisions = new Map<Digest, Decision>();
  const emit: EventSink = (event) => {
    if (event.type === 'decision') decisions.set(event.vertex, event.decision);
    options.emit(event);
  };
  const build = new BuildRun(deps, planner, definition, { ...options, emit }, lease);
  try {
    const solved = await build.solve(result);
    if (!solved.ok) return err(build.failure ?? solved.error);
    return ok(steps(build, definition, planner, decisions));
  } catch (e) {
    return build.outcome(e);
  } finally {
    await build.settled();
  }
}

function steps(
  build: BuildRun,
  definition: Definition,
  planner: Planner,
  decisions: ReadonlyMap<Digest, Decision>,
): readonly PlannedStep[] {
  return [...definition.vertices.values()].flatMap((vertex) => {
    const decision = decisions.get(vertex.digest);
    if (decision === undefined) return [];
    const { name } = build.vertex(vertex.digest);
    const [last] = build.deps.traces.traces(stepIdentity(vertex, build.texts), 1);
    const planned: PlannedStep = {
      vertex,
      name,
      state: decision.outcome === 'hit' ? 'cached' : 'run',
      certain: planner.certain.get(vertex.digest) ?? true,
      decision,
      ...(last === undefined ? {} : { lastMs: last.costMs }),
    };
    return [planned];
  });
}

/** Notes what would be executed. */
class Planner implements StepExecutor {
  /** Steps that would run, and whether nothing can prevent it. */
  readonly certain = new Map<Digest, boolean>();
  readonly #reading = new Map<VertexWork, Promise<Result<void>>>();

  async execute(build: BuildRun, edge: Edge, decided: () => void): Promise<Result<LayerChain>> {
    const { work } = edge;
    const isDirectory = work.map.volatile === true && edge.inputs.length === 0;
    if (isDirectory) {
      let reading = this.#reading.get(work);
      if (reading === undefined) this.#reading.set(work, (reading = read(build, work)));
      const done = await reading;
      return done.ok ? ok(takeOutput(edge)) : done;
    }
    edge.foresee();
    if (!this.certain.has(work.vertex.digest)) {
      this.certain.set(work.vertex.digest, this.#isCertain(edge));
      decided();
      build.progress.started(work.vertex.digest);
      build.progress.completed(work.vertex.digest);
    }
    return ok([]);
  }

  /** A step whose only new inputs have content keys is found by them when the new content is that of an earlier build. */
  #isCertain({ inputs, work, forced }: Edge): boolean {
    const unknown = inputs.flatMap((input, i) => (input.unknown ? [{ input, i }] : []));
    if (forced || unknown.length === 0) return true;
    return unknown.some(
      ({ input, i }) =>
        work.map.deps[i]?.hasContentKey !== true &&
        this.certain.get(input.work.vertex.digest) === true,
    );
  }
}

/** A local directory is read in a plan too: what is made of it is found by its content only. */
async function read(build: BuildRun, work: VertexWork): Promise<Result<void>> {
  build.progress.started(work.vertex.digest);
  const ran = await build.track(work.driver.run(work.context(build.work), []));
  if (!ran.ok) {
    build.fail(work.vertex, ran.error);
    return ran;
  }
  work.executed({ kind: 'done', outputs: ran.value, records: [] });
  build.progress.completed(work.vertex.digest);
  return ok(undefined);
}
