import type { GoJson } from '../base/index.ts';
import type { PlannedStep } from '../build/index.ts';
import { neutralise } from './progress/text.ts';

/** A plan for people: one step a line with its state, below it why. */
export function planText(steps: readonly PlannedStep[]): string {
  const lines = steps.flatMap((step) => [
    `${stateOf(step).padEnd(6)}  ${step.name}${expected(step)}`,
    `        ${step.decision.reason}`,
  ]);
  return `${[...lines.map(neutralise), summary(steps)].join('\n')}\n`;
}

/** A plan as one JSON value; `v` is the version of its shape. */
export function planJson(steps: readonly PlannedStep[]): GoJson {
  return {
    v: 1,
    steps: steps.map(({ vertex, name, state, certain, decision, lastMs }) => ({
      vertex: vertex.digest,
      name,
      state,
      certain,
      reason: decision.reason,
      by: decision.by,
      key: decision.key,
      ...(decision.nearest === undefined ? {} : { differs: decision.nearest.differs }),
      ...(lastMs === undefined ? {} : { lastMs: Math.round(lastMs) }),
    })),
  };
}

/** `RUN?` is a step that is found after all when a step below it makes the same files again. */
function stateOf({ state, certain }: PlannedStep): string {
  if (state === 'cached') return 'CACHED';
  return certain ? 'RUN' : 'RUN?';
}

function expected({ state, lastMs }: PlannedStep): string {
  return state === 'cached' || lastMs === undefined ? '' : ` (about ${seconds(lastMs)})`;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;

function summary(steps: readonly PlannedStep[]): string {
  const run = steps.filter(({ state }) => state === 'run');
  const known = run.flatMap(({ lastMs }) => (lastMs === undefined ? [] : [lastMs]));
  const unknown = run.length - known.length;
  const count = `${run.length} of ${steps.length} steps would run`;
  if (run.length === 0) return count;
  const time = `about ${seconds(known.reduce((sum, ms) => sum + ms, 0))} of work`;
  if (known.length === 0) return `${count}; how long they take is not known`;
  return unknown === 0
    ? `${count}: ${time}`
    : `${count}: ${time}, and ${unknown} of unknown length`;
}
