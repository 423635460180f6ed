import type { Digest } from '../base/index.ts';
import type { ChangeKind } from '../events/index.ts';
import type { HistoryDb, StepRow } from '../ports/index.ts';
import { branchTrends, causeTrends, stepTrends, took, trendOf } from './trends.ts';

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
  /** Of what branch it was built; empty where nothing said it. */
  readonly branch: string;
}

/** All builds of one branch. */
export interface BranchTrend {
  readonly name: string;
  readonly builds: number;
  readonly hits: number;
  readonly runs: number;
  readonly savedMs: number;
}

/** One step over all builds. */
export interface StepTrend {
  readonly name: string;
  readonly hits: number;
  readonly runs: number;
  readonly totalMs: number;
  /** What became of it in each build, oldest first, as `trend` has them; undefined where the build had no such step. */
  readonly states: readonly ('found' | 'ran' | undefined)[];
  /** Times found and all times, by branch. */
  readonly branches: Readonly<Record<string, { readonly hits: number; readonly of: number }>>;
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
  /** The largest files, largest first. */
  readonly files: readonly ReportFile[];
  /** Files that are not among them, and their bytes. */
  readonly more: { readonly files: number; readonly size: number };
}

/** A file of a layer. */
export interface ReportFile {
  readonly path: string;
  readonly size: number;
  /** A later layer writes it again or removes it. */
  readonly wasted?: true;
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
  /** Most builds first. */
  readonly branches: readonly BranchTrend[];
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
    branches: branchTrends(trendOf(oldestFirst)),
    steps: stepTrends(oldestFirst),
    causes: causeTrends(builds),
    store,
  };
}

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
