import type { CommitPrediction, ReplayStep } from './commit-replay.ts';

/** What a machine and a place cost. */
export interface Prices {
  /** Of an hour of building. */
  readonly perHour: number;
  /** Of a gigabyte of cache in a month. */
  readonly perGigabyteMonth: number;
}

/** What an execution of a step costs, as measured. */
export interface StepCosts {
  readonly msOf: (step: ReplayStep) => number;
  readonly bytesOf: (step: ReplayStep) => number;
}

/** What one Dockerfile costs over a history of commits. */
export interface VariantForecast {
  readonly builds: number;
  readonly executed: number;
  readonly steps: number;
  /** Steps found, of all: 0 to 1. */
  readonly hitRate: number;
  readonly minutes: number;
  readonly minutesPerWeek: number;
  /** Building and keeping what it writes. */
  readonly moneyPerWeek: number;
  readonly writtenBytes: number;
  /** Executions and minutes by kind of step. */
  readonly byKind: readonly {
    readonly kind: ReplayStep['kind'];
    readonly executed: number;
    readonly minutes: number;
    readonly bytes: number;
  }[];
  /** Layers that executions write, by size; `below` is in bytes, and absent for the largest. */
  readonly bySize: readonly {
    readonly below?: number;
    readonly layers: number;
    readonly bytes: number;
  }[];
}

/** Ends of the classes of layers by size, in bytes. */
const SIZES = [1e6, 10e6, 100e6, 1e9];

const WEEK = 7 * 24 * 3600 * 1000;
const WEEKS_PER_MONTH = 52 / 12;

/**
 * Adds up a prediction. The first commit fills the cache and is left out; a history shorter than a week counts as one, so
 * that few commits are not blown up.
 */
export function forecast(
  predictions: readonly CommitPrediction[],
  costs: StepCosts,
  prices: Prices,
): VariantForecast {
  const later = predictions.slice(1);
  const weeks = Math.max(1, ((later.at(-1)?.at ?? 0) - (later[0]?.at ?? 0)) / WEEK);
  const executed = later.flatMap((each) => each.executed);
  const steps = later.reduce((sum, each) => sum + each.steps, 0);
  const sum = (of: readonly ReplayStep[], by: (step: ReplayStep) => number): number =>
    of.reduce((total, step) => total + by(step), 0);
  const minutes = sum(executed, costs.msOf) / 60_000;
  const writtenBytes = sum(executed, costs.bytesOf);
  const perWeek = minutes / weeks;
  const stored = (writtenBytes / weeks / 1e9) * (prices.perGigabyteMonth / WEEKS_PER_MONTH);
  return {
    builds: later.length,
    executed: executed.length,
    steps,
    hitRate: steps === 0 ? 1 : 1 - executed.length / steps,
    minutes,
    minutesPerWeek: perWeek,
    moneyPerWeek: (perWeek / 60) * prices.perHour + stored,
    writtenBytes,
    bySize: bySize(executed.map(costs.bytesOf)),
    byKind: (['copy', 'run', 'workdir'] as const).map((kind) => {
      const own = executed.filter((step) => step.kind === kind);
      return {
        kind,
        executed: own.length,
        minutes: sum(own, costs.msOf) / 60_000,
        bytes: sum(own, costs.bytesOf),
      };
    }),
  };
}

function bySize(written: readonly number[]): VariantForecast['bySize'] {
  return [...SIZES, undefined].map((below, i) => {
    const from = i === 0 ? 0 : (SIZES[i - 1] ?? 0);
    const own = written.filter((size) => size >= from && (below === undefined || size < below));
    const bytes = own.reduce((sum, size) => sum + size, 0);
    return { ...(below === undefined ? {} : { below }), layers: own.length, bytes };
  });
}
