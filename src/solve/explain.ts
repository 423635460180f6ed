import type { Decision } from '../events/index.ts';
import type { StepTrace, StepTraceInput, TraceDb } from '../ports/index.ts';
import type { Edge } from './edge.ts';
import type { Cause } from './types.ts';

/** Earlier executions that are compared. */
const COMPARED = 8;

/**
 * The name a step keeps over builds: BuildKit's display name without its counter, which changes when a step is added:
 * `[stage-1  2/13] RUN make` becomes `[stage-1] RUN make`.
 */
export function stepIdentity(name: string): string {
  const head = /^\[([^\]]*)\]\s*/.exec(name);
  if (head === null) return name;
  const label = (head[1] ?? '').replace(/\s*\d+\/\d+$/, '').trim();
  const rest = name.slice(head[0].length);
  return label === '' ? rest : `[${label}] ${rest}`;
}

/** What is kept of a step's inputs to explain a later miss. */
export function traceInputs(edge: Edge): readonly StepTraceInput[] {
  return edge.inputs.map((input, i) => {
    const content = edge.contents[i];
    const record = Math.min(...input.keys);
    return {
      step: stepIdentity(input.work.name),
      ...(content === undefined ? {} : { content }),
      ...(Number.isFinite(record) ? { record } : {}),
    };
  });
}

/** Says why `edge` has to be executed, by the nearest earlier execution of the same step. */
export function explainMiss(
  edge: Edge,
  db: TraceDb,
): { readonly cause: Cause; readonly nearest?: NonNullable<Decision['nearest']> } {
  const { name } = edge.work;
  if (edge.forced) return { cause: { reason: 'caching is off for this step', root: name } };
  const own = (reason: string): Cause => ({ reason, root: name });
  if (edge.evicted) {
    return { cause: own(evictedReason(edge)) };
  }
  const inputs = traceInputs(edge);
  const [nearest] = db
    .traces(stepIdentity(name), COMPARED)
    .map((trace) => ({ trace, same: sameness(trace, edge, inputs) }))
    .sort((a, b) => b.same - a.same);
  if (nearest === undefined) {
    const upstream = edge.inputs.find((input) => input.work.cause !== undefined);
    return { cause: own(firstTime(upstream)) };
  }
  const { differs, cause } = difference(nearest.trace, edge, inputs);
  return { cause, nearest: { key: nearest.trace.key, differs } };
}

function evictedReason({ eviction }: Edge): string {
  const before = 'it was built before, but its layers are no longer in the store';
  if (eviction === undefined) return `${before} (evicted or lost)`;
  const at = new Date(eviction.at).toISOString().slice(0, 16).replace('T', ' ');
  return `${before}: evicted ${at} UTC, ${eviction.rule}`;
}

function firstTime(upstream: Edge | undefined): string {
  const text = 'no earlier build had a step with this text';
  return upstream === undefined
    ? text
    : `${text}; "${upstream.work.name}" below it is executed too`;
}

function sameness(trace: StepTrace, edge: Edge, inputs: readonly StepTraceInput[]): number {
  const equal = inputs.filter((input, i) => sameInput(input, trace.inputs[i])).length;
  return equal + (trace.op === edge.work.map.digest ? inputs.length + 1 : 0);
}

function sameInput(now: StepTraceInput, before: StepTraceInput | undefined): boolean {
  if (before === undefined) return false;
  if (now.content !== undefined) return now.content === before.content;
  return now.record !== undefined && now.record === before.record;
}

function difference(
  trace: StepTrace,
  edge: Edge,
  inputs: readonly StepTraceInput[],
): { readonly differs: string; readonly cause: Cause } {
  const { name, map } = edge.work;
  const own = (differs: string, reason: string): ReturnType<typeof difference> => ({
    differs,
    cause: { reason, root: name },
  });
  if (trace.op !== map.digest) {
    if (edge.inputs.length > 0) {
      return own(
        'the step itself',
        'the step itself changed: its command, environment, options or platform',
      );
    }
    const before = trace.describes ?? trace.op;
    return own(
      'the source',
      `the source changed: ${before} before, ${map.describes ?? map.digest} now`,
    );
  }
  const at = inputs.findIndex((input, i) => !sameInput(input, trace.inputs[i]));
  const input = edge.inputs[at];
  if (at === -1 || input === undefined) {
    return own(
      'nothing',
      'the same step with the same inputs was built before, but its record is gone',
    );
  }
  const from = input.work.name;
  if (inputs[at]?.content !== undefined) {
    const upstream = input.work.cause;
    const reason = `the files it uses from "${from}" changed`;
    // A source's files are where the difference begins; a step's files changed because that step is executed anew.
    if (upstream === undefined) return own(`files from "${from}"`, reason);
    return {
      differs: `files from "${from}"`,
      cause: { reason: `${reason}, because of "${upstream.root}"`, root: upstream.root },
    };
  }
  const upstream = input.work.cause;
  if (upstream === undefined) {
    return own(`"${from}"`, `"${from}" below it is another one than before`);
  }
  return {
    differs: `"${from}"`,
    cause: {
      reason:
        upstream.root === from
          ? `"${from}" below it is executed anew: ${upstream.reason}`
          : `it stands above "${upstream.root}", which is executed anew`,
      root: upstream.root,
    },
  };
}
