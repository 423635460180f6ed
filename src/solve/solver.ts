import { err, ok, type Result } from '../base/index.ts';
import type { Definition } from '../llb/index.ts';
import { BuildRun } from './build-run.ts';
import { Executor } from './executor.ts';
import { plan } from './plan.ts';
import type { Solution, SolveOptions, Solver, SolverDeps } from './types.ts';

/**
 * Makes a solver. It knows no kind of op: cache maps, content keys and execution come from the drivers that
 * `deps.resolver` finds; look-up is BuildKit's (solver/edge.go).
 */
export function createSolver(deps: SolverDeps): Solver {
  const executor = new Executor(deps);
  return {
    solve: (definition, options) => solve(deps, executor, definition, options),
    plan: (definition, options) => plan(deps, definition, options),
  };
}

async function solve(
  deps: SolverDeps,
  executor: Executor,
  definition: Definition,
  options: SolveOptions,
): Promise<Result<Solution>> {
  options.signal.throwIfAborted();
  const { result } = definition;
  if (result === undefined) return ok({ chain: [], records: [], sources: new Map() });
  await using stack = new AsyncDisposableStack();
  const lease = options.lease ?? stack.use(deps.leases.open('solve'));
  const build = new BuildRun(deps, executor, definition, options, lease);
  try {
    const solved = await build.solve(result);
    if (!solved.ok) return err(build.failure ?? solved.error);
    const { chain, keys } = solved.value;
    return ok({ chain, records: [...keys].sort((a, b) => a - b), sources: build.sources() });
  } catch (e) {
    return build.outcome(e);
  } finally {
    await build.settled();
    build.progress.finish();
  }
}
