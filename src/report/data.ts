import type { Digest } from '../base/index.ts';
import type { ChangeKind } from '../events/index.ts';
import type { HistoryDb, StepRow } from '../ports/index.ts';

/** A build of the history. */
export type ReportedBuild = ReturnType<HistoryDb['builds']>[number];

/** A build with its steps. */
export interface BuildSteps {
  readonly build: ReportedBuild;
  readonly steps: readonly StepRow[];
}

/** One step of the build that is shown. */
export interface TimelineStep {
  readonly vertex: Digest;
  readonly name: string;
  readonly state: StepRow['state'];
  /** Milliseconds after the start of the build. */
  readonly from: number;
  readonly tookMs: number;
  /** Whether the build would have ended earlier had this step. */
  readonly critical: boolean;
  readonly inputs: readonly Digest[];
  readonly reason?: string;
}

/** One build as a point of time. */
export interface TrendPoint {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly tookMs: number;
  readonly hits: number;
  readonly runs: number;
  /** Milliseconds that the steps found would have taken, as they last did. */
  readonly savedMs: number;
  readonly failed: boolean;
}

/** One step over all builds. */
export interface StepTrend {
  readonly name: string;
  readonly hits: number;
  readonly runs: number;
  readonly totalMs: number;
}

/** A difference that made steps run. */
export interface CauseTrend {
  readonly kind: ChangeKind;
  readonly name: string;
  readonly builds: number;
  /** Milliseconds of the steps that ran because of it. */
  readonly costMs: number;
}

/** One layer of the image that the last build made. */
export interface ReportLayer {
  readonly madeBy: string;
  readonly size: number;
  /** Bytes of its files that later layers write again or remove. */
  readonly wasted: number;
  /** The largest files. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** Space of the store by kind. */
export interface StoreUse {
  readonly kind: string;
  readonly bytes: number;
}

/** Everything a report shows. */
export interface ReportData {
  /** When it was made, milliseconds since the Unix epoch. */
  readonly at: number;
  readonly last?: { readonly build: ReportedBuild; readonly steps: readonly TimelineStep[] };
  readonly layers: readonly ReportLayer[];
  /** Oldest first. */
  readonly trend: readonly TrendPoint[];
  readonly steps: readonly StepTrend[];
  readonly causes: readonly CauseTrend[];
  readonly store: readonly StoreUse[];
}

/** What the report's pure part is given. */
export interface ReportInput {
  readonly at: number;
  /** Newest first. */
  readonly builds: readonly BuildSteps[];
  readonly layers: readonly ReportLayer[];
  readonly store: readonly StoreUse[];
}

/** Makes the data of a report from the history. */
export function reportData({ at, builds, layers, store }: ReportInput): ReportData {
  const [last] = builds;
  const oldestFirst = builds.toReversed();
  return {
    at,
    ...(last === undefined ? {} : { last: { build: last.build, steps: timeline(last) } }),
    layers,
    trend: trendOf(oldestFirst),
    steps: stepTrends(builds),
    causes: causeTrends(builds),
    store,
  };
}

const own = (steps: readonly StepRow[]): readonly StepRow[] =>
  steps.filter(({ decision }) => decision !== undefined);

const took = ({ state, startedAt, completedAt }: StepRow): number =>
  state === 'cached' || startedAt === undefined || completedAt === undefined
    ? 0
    : completedAt - startedAt;

/** A step's name without its number, so that it is one over builds. */
export const lastingName = (name: string): string =>
  name
    .replace(/^\[([^\]]*?)\s*\d+\/\d+\]/, (_, stage: string) => (stage === '' ? '' : `[${stage}]`))
    .trim();

function timeline({ build, steps }: BuildSteps): readonly TimelineStep[] {
  const critical = criticalPath(steps);
  return steps.map((step) => ({
    vertex: step.vertex,
    name: step.name,
    state: step.state,
    from: Math.max(0, (step.startedAt ?? step.completedAt ?? build.startedAt) - build.startedAt),
    tookMs: took(step),
    critical: critical.has(step.vertex),
    inputs: step.inputs ?? [],
    ...(step.decision === undefined ? {} : { reason: step.decision.reason }),
  }));
}

/** The chain of steps, each an input of the next, that took longest in all. */
function criticalPath(steps: readonly StepRow[]): ReadonlySet<Digest> {
  const rows = new Map(steps.map((step) => [step.vertex, step]));
  const longest = new Map<Digest, { readonly ms: number; readonly before?: Digest }>();
  const measure = (vertex: Digest): number => {
    const known = longest.get(vertex);
    if (known !== undefined) return known.ms;
    const row = rows.get(vertex);
    if (row === undefined) return 0;
    // Entered before its inputs are: a graph has no circle, and damaged data must not hang the report.
    longest.set(vertex, { ms: 0 });
    const inputs = (row.inputs ?? []).map((input) => ({ input, ms: measure(input) }));
    const before = inputs.sort((a, b) => b.ms - a.ms)[0];
    longest.set(vertex, {
      ms: took(row) + (before?.ms ?? 0),
      ...(before === undefined ? {} : { before: before.input }),
    });
    return longest.get(vertex)?.ms ?? 0;
  };
  const path = new Set<Digest>();
  const [top] = steps
    .map(({ vertex }) => ({ vertex, ms: measure(vertex) }))
    .sort((a, b) => b.ms - a.ms);
  if (top === undefined || top.ms === 0) return path;
  for (let at: Digest | undefined = top.vertex; at !== undefined; at = longest.get(at)?.before)
    path.add(at);
  return path;
}

function trendOf(builds: readonly BuildSteps[]): readonly TrendPoint[] {
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
    };
  });
}

function stepTrends(builds: readonly BuildSteps[]): readonly StepTrend[] {
  const trends = new Map<string, { hits: number; runs: number; totalMs: number }>();
  for (const step of builds.flatMap(({ steps }) => own(steps))) {
    const name = lastingName(step.name);
    const trend = trends.get(name) ?? { hits: 0, runs: 0, totalMs: 0 };
    if (step.state === 'cached') trend.hits++;
    else trend.runs++;
    trend.totalMs += took(step);
    trends.set(name, trend);
  }
  return [...trends]
    .map(([name, trend]) => ({ name, ...trend }))
    .sort((a, b) => b.totalMs - a.totalMs);
}

function causeTrends(builds: readonly BuildSteps[]): readonly CauseTrend[] {
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
