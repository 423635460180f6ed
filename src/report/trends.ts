import { byCodeUnit, isRecord, parseJson } from '../base/index.ts';
import { type ChangeKind, joinStepName, stepNameParts } from '../events/index.ts';
import type { StepRow } from '../ports/index.ts';
import type {
  BranchTrend,
  BuildSteps,
  CauseTrend,
  ReportedBuild,
  StepTrend,
  TrendPoint,
} from './data.ts';

/** Steps that were decided about; the builder's own are none. */
const own = (steps: readonly StepRow[]): readonly StepRow[] =>
  steps.filter(({ decision }) => decision !== undefined);

/** Milliseconds of work of a step. */
export const took = ({ state, startedAt, completedAt }: StepRow): number =>
  state === 'cached' || startedAt === undefined || completedAt === undefined
    ? 0
    : completedAt - startedAt;

/** A step's name without its number, so that it is one over builds. */
const lastingName = (name: string): string => joinStepName(stepNameParts(name));

/** Every build as a point of time, oldest first. */
export function trendOf(builds: readonly BuildSteps[]): readonly TrendPoint[] {
  const cost = new Map<string, number>();
  return builds.map(({ build, steps }) => {
    let savedMs = 0;
    for (const step of own(steps)) {
      const name = lastingName(step.name);
      if (step.state === 'cached') savedMs += cost.get(name) ?? 0;
      else cost.set(name, took(step));
    }
    const hits = own(steps).filter(({ state }) => state === 'cached').length;
    return {
      id: build.id,
      name: build.name,
      at: build.startedAt,
      tookMs: (build.finishedAt ?? build.startedAt) - build.startedAt,
      hits,
      runs: own(steps).length - hits,
      savedMs,
      failed: build.error !== undefined,
      branch: branchIn(build),
    };
  });
}

/** The branch in the request that a build recorded. */
function branchIn({ request }: ReportedBuild): string {
  const parsed = parseJson(request);
  const branch = parsed.ok && isRecord(parsed.value) ? parsed.value['branch'] : undefined;
  return typeof branch === 'string' ? branch : '';
}

/** The builds of each branch, the branch with the most first. */
export function branchTrends(trend: readonly TrendPoint[]): readonly BranchTrend[] {
  const groups = Map.groupBy(trend, ({ branch }) => branch);
  return [...groups]
    .map(([name, points]) => {
      const sum = (of: (point: TrendPoint) => number): number =>
        points.reduce((total, point) => total + of(point), 0);
      return {
        ...{ name, builds: points.length },
        hits: sum(({ hits }) => hits),
        runs: sum(({ runs }) => runs),
        savedMs: sum(({ savedMs }) => savedMs),
      };
    })
    .sort((a, b) => b.builds - a.builds || byCodeUnit(a.name, b.name));
}

/** Each step over all builds, the dearest first. */
export function stepTrends(builds: readonly BuildSteps[]): readonly StepTrend[] {
  interface Trend {
    hits: number;
    runs: number;
    totalMs: number;
    readonly states: ('found' | 'ran' | undefined)[];
    readonly branches: Record<string, { hits: number; of: number }>;
  }
  const trends = new Map<string, Trend>();
  for (const [at, { build, steps }] of builds.entries())
    for (const step of own(steps)) {
      const name = lastingName(step.name);
      const trend = trends.get(name) ?? {
        ...{ hits: 0, runs: 0, totalMs: 0, branches: {} },
        states: builds.map(() => undefined),
      };
      const branch = (trend.branches[branchIn(build)] ??= { hits: 0, of: 0 });
      const found = step.state === 'cached';
      if (found) trend.hits++;
      else trend.runs++;
      branch.hits += found ? 1 : 0;
      branch.of++;
      trend.states[at] = found ? 'found' : 'ran';
      trend.totalMs += took(step);
      trends.set(name, trend);
    }
  return [...trends]
    .map(([name, trend]) => ({ name, ...trend }))
    .sort((a, b) => b.totalMs - a.totalMs);
}

/** What made steps run, the dearest first. */
export function causeTrends(builds: readonly BuildSteps[]): readonly CauseTrend[] {
  const trends = new Map<
    string,
    { kind: ChangeKind; name: string; builds: Set<string>; costMs: number }
  >();
  for (const { build, steps } of builds) {
    const roots = new Map(
      own(steps).flatMap(({ name, decision }) => {
        const [change] = decision?.cause?.changes ?? [];
        return change === undefined ? [] : [[name, change] as const];
      }),
    );
    for (const step of own(steps)) {
      const { cause } = step.decision ?? {};
      if (step.state === 'cached' || cause === undefined) continue;
      const change = roots.get(cause.step) ?? cause.changes[0];
      if (change === undefined || change.kind === 'first time') continue;
      const key = `${change.kind} ${change.name}`;
      const trend = trends.get(key) ?? {
        kind: change.kind,
        name: change.name,
        builds: new Set(),
        costMs: 0,
      };
      trend.builds.add(build.id);
      trend.costMs += took(step);
      trends.set(key, trend);
    }
  }
  return [...trends.values()]
    .map(({ kind, name, builds: ids, costMs }) => ({ kind, name, builds: ids.size, costMs }))
    .sort((a, b) => b.costMs - a.costMs);
}
