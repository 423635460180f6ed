import { leavesOf } from '../causes/index.ts';
import type { Change, Decision, RootCause } from '../events/index.ts';
import type { StepTrace, StepTraceInput } from '../ports/index.ts';
import type { Edge } from './edge.ts';
import {
  inputChanges,
  type MissWorld,
  mainStep,
  ownChanges,
  recordsOf,
  sameInput,
  traceInputs,
} from './miss.ts';
import { placeOf, sentenceOf } from './sentence.ts';
import { stepIdentity, textOfIdentity } from './step-identity.ts';
import type { Cause } from './types.ts';

/** Earlier executions that are compared. */
const COMPARED = 8;

/** Differences that are kept with a decision. */
const KEPT_CHANGES = 50;

/** Says why `edge` has to be executed, by the nearest earlier execution of the same step. */
export function explainMiss(
  edge: Edge,
  world: MissWorld,
): { readonly cause: Cause; readonly nearest?: NonNullable<Decision['nearest']> } {
  const { name, vertex } = edge.work;
  const own = (change: Change): { readonly cause: Cause } => ({ cause: ownCause(edge, [change]) });
  if (edge.forced) return own({ kind: 'no cache', name });
  if (edge.evicted) return own({ kind: 'evicted', name, ...evictionText(edge) });
  const inputs = traceInputs(edge, world.texts);
  const identity = stepIdentity(vertex, world.texts);
  const [nearest] = world.db
    .traces(identity, COMPARED, world.texts.project)
    .map((trace) => ({ trace, far: distance(trace, edge, { ...world, inputs }) }))
    .sort((a, b) => a.far - b.far);
  if (nearest === undefined) return { cause: newStep(edge, identity, world) };
  const { differs, ...cause } = difference(nearest.trace, edge, { ...world, inputs });
  return { cause, nearest: { key: nearest.trace.key, differs } };
}

/** When and by which rule a result was removed, where that is known. */
function evictionText({ eviction }: Edge): Pick<Change, 'after'> {
  if (eviction === undefined) return {};
  const at = new Date(eviction.at).toISOString().slice(0, 16).replace('T', ' ');
  return { after: `${at} UTC, ${eviction.rule}` };
}

/** The number of things that differ; a step that is another op is farther than one whose inputs differ. */
function distance(trace: StepTrace, edge: Edge, world: KnownInputs): number {
  const own =
    trace.op === edge.work.map.digest
      ? 0
      : ANOTHER_OP + ownChanges(trace, edge, world.texts).length;
  const differing = world.inputs.map((input, i) =>
    sameInput(input, trace.inputs[i]) ? 0 : Math.max(1, inputChanges(trace, edge, i, world).length),
  );
  return differing.reduce((sum, each) => sum + each, own);
}

/** More than files of a context may differ. */
const ANOTHER_OP = 1e9;

type KnownInputs = MissWorld & { readonly inputs: readonly StepTraceInput[] };

/** A step with this text was never executed: it is new, or it stands where another one stood. */
function newStep(edge: Edge, identity: string, { db, isPresent, texts }: MissWorld): Cause {
  const text = textOfIdentity(identity);
  const main = mainStep(identity, traceInputs(edge, texts));
  const below = db.tracesAbove(main, COMPARED, texts.project);
  const replaced = below.find(({ step }) => !isPresent(step));
  if (replaced !== undefined) {
    const before = textOfIdentity(replaced.step);
    return ownCause(edge, [{ kind: 'instruction', name: 'text', before, after: text }]);
  }
  if (below.length > 0) return ownCause(edge, [{ kind: 'instruction', name: 'new', after: text }]);
  const upstream = edge.inputs.find((input) => input.work.cause !== undefined);
  const cause = ownCause(edge, [{ kind: 'first time', name: text }]);
  if (upstream === undefined) return cause;
  return { ...cause, reason: `${cause.reason}; "${upstream.work.name}" above it is executed too` };
}

function difference(
  trace: StepTrace,
  edge: Edge,
  world: KnownInputs,
): Cause & { readonly differs: string } {
  const { inputs, texts } = world;
  const own = ownChanges(trace, edge, texts);
  if (own.length > 0 || trace.op !== edge.work.map.digest) {
    const differs = edge.inputs.length > 0 ? 'the step itself' : 'the source';
    const changes = own.length > 0 ? own : [{ kind: 'option', name: 'operation' } as const];
    return { ...ownCause(edge, changes), differs };
  }
  const at = inputs.findIndex((input, i) => !sameInput(input, trace.inputs[i]));
  const input = edge.inputs[at];
  if (at === -1 || input === undefined)
    return { ...ownCause(edge, [{ kind: 'unknown', name: edge.work.name }]), differs: 'nothing' };
  const from = input.work.name;
  const byContent = inputs[at]?.content !== undefined;
  const differs = byContent ? `files from "${from}"` : `"${from}"`;
  const changes = inputChanges(trace, edge, at, world);
  // A source is where a difference begins; a step differs because that step is executed anew.
  const upstream =
    input.inputs.length === 0 ? undefined : upstreamCause(input, trace.inputs[at], world);
  if (upstream !== undefined) {
    const same = unchangedFiles(edge, inputs, trace);
    return { ...inherited(edge, { from, upstream, byContent, changes, same }), differs };
  }
  const known =
    changes.length > 0 ? changes : [{ kind: byContent ? 'file' : 'unknown', name: from } as const];
  return { ...ownCause(edge, known, from), differs };
}

/**
 * Why an input is another one than before: it was executed, or something above it was; or it was found, but is what
 * another execution made than the one before.
 */
function upstreamCause(
  input: Edge,
  before: StepTraceInput | undefined,
  world: MissWorld,
): Cause | undefined {
  const seen = new Set([input]);
  for (const each of seen) {
    if (each.work.cause !== undefined) return each.work.cause;
    for (const above of each.inputs) seen.add(above);
  }
  const known = before === undefined ? [] : recordsOf(before);
  const { db, texts } = world;
  const old = db
    .traces(stepIdentity(input.work.vertex, texts), COMPARED, texts.project)
    .find(({ record }) => record !== undefined && known.includes(record));
  if (old === undefined) return undefined;
  const { differs, ...cause } = difference(old, input, {
    ...world,
    inputs: traceInputs(input, texts),
  });
  return differs === 'nothing' ? undefined : cause;
}

interface Inherited {
  /** Name of the input's step. */
  readonly from: string;
  readonly upstream: Cause;
  readonly byContent: boolean;
  readonly changes: readonly Change[];
  readonly same: readonly string[];
}

/** Files named in a sentence as being the same. */
const SAME_NAMED = 3;

/** What a step that runs uses as before, by the names of the files where they are few. */
function unchangedFiles(
  edge: Edge,
  inputs: readonly StepTraceInput[],
  trace: StepTrace,
): readonly string[] {
  return inputs.flatMap(({ content }, i) => {
    if (content === undefined || content !== trace.inputs[i]?.content) return [];
    const listing = edge.listings[i]?.();
    const leaves = listing === undefined ? [] : leavesOf(listing, SAME_NAMED + 1);
    return leaves.length > 0 && leaves.length <= SAME_NAMED
      ? leaves.map((path) => path.slice(1))
      : [`all it uses of ${placeOf(edge.inputs[i]?.work.name ?? '')}`];
  });
}

function inherited(edge: Edge, { from, upstream, byContent, changes, same }: Inherited): Cause {
  const { root } = upstream;
  const via = root.step === from ? [from] : [...root.via, from];
  const because =
    root.step === from
      ? `"${from}" above it is executed anew: ${upstream.reason}`
      : `it comes after "${root.step}", which is executed anew`;
  const reason = byContent
    ? `${sentenceOf(changes, from) ?? `the files it uses of ${placeOf(from)} changed`}, because of "${root.step}"`
    : `${same.length === 0 ? '' : `${same.join(', ')} ${same.length === 1 ? 'is' : 'are'} the same; `}${because}`;
  // What was found is not executed in this build: nobody else holds its differences.
  const found = root.changes.length > 0 && !executedHere(edge, root.step);
  const cause: RootCause = {
    kind: root.kind,
    step: root.step,
    via: via.filter((step) => step !== root.step && step !== edge.work.name),
    changes: found ? root.changes : [],
    more: found ? root.more : 0,
    same,
  };
  return { reason, root: cause };
}

/** A difference that begins at the step itself. */
function ownCause(edge: Edge, changes: readonly Change[], from?: string): Cause {
  const [first] = changes;
  const root: RootCause = {
    kind: first?.kind ?? 'unknown',
    step: edge.work.name,
    via: [],
    changes: changes.slice(0, KEPT_CHANGES),
    more: Math.max(0, changes.length - KEPT_CHANGES),
    same: [],
  };
  return { reason: sentenceOf(changes, from) ?? 'nothing of it is known', root };
}

/** Whether a step above `edge` of this name is executed in this build. */
function executedHere(edge: Edge, name: string): boolean {
  const seen = new Set(edge.inputs);
  for (const each of seen) {
    if (each.work.name === name && each.work.cause !== undefined) return true;
    for (const above of each.inputs) seen.add(above);
  }
  return false;
}
