import { type Digest, parseJson } from '../base/index.ts';
import {
  changed,
  decodeListing,
  diffIgnoreRules,
  diffListings,
  diffOps,
  encodeListing,
} from '../causes/index.ts';
import type { Change } from '../events/index.ts';
import { decodeOp, type Op, type Vertex } from '../llb/index.ts';
import type { StepTrace, StepTraceInput, TraceDb } from '../ports/index.ts';
import type { Edge } from './edge.ts';
import { type StepTexts, stepIdentity, textOfIdentity } from './step-identity.ts';

/** What a miss is explained by, besides the step itself. */
export interface MissWorld {
  readonly db: TraceDb;
  readonly texts: StepTexts;
  /** Whether a step of this name is part of the build. */
  readonly isPresent: (identity: string) => boolean;
}

/** Patterns of the ignore file that a local source was read with. */
export function ignorePatternsOf({ op }: Vertex): string | undefined {
  return op.body.kind === 'source' ? op.body.source.attrs['local.excludepatterns'] : undefined;
}

/** What is kept of a step's inputs to explain a later miss. */
export function traceInputs(edge: Edge, texts: StepTexts): readonly StepTraceInput[] {
  const main = mainInput(edge.work.vertex.op);
  return edge.inputs.map((input, i) => {
    const content = edge.contents[i];
    const records = [...input.keys].sort((a, b) => a - b);
    const [record] = records;
    const { vertex, map } = input.work;
    const ignored = ignorePatternsOf(vertex);
    return {
      step: stepIdentity(vertex, texts),
      ...(i === main ? { main: true } : {}),
      ...(map.describes === undefined ? {} : { describes: map.describes }),
      ...(ignored === undefined ? {} : { ignored }),
      ...(content === undefined ? {} : { content }),
      ...(record === undefined ? {} : { record }),
      ...(records.length > 1 ? { records } : {}),
    };
  });
}

/** The input that a step stands on; undefined where it starts from nothing. */
function mainInput({ body }: Op): number | undefined {
  const at =
    body.kind === 'exec'
      ? body.exec.mounts.find(({ dest }) => dest === '/')?.input
      : body.kind === 'file'
        ? body.file.actions[0]?.input
        : body.kind === 'merge'
          ? body.merge.inputs[0]
          : undefined;
  return at === undefined || at < 0 ? undefined : at;
}

/** Identity of the step that one stands on; a step that starts from nothing stands on its stage's beginning. */
export function mainStep(identity: string, inputs: readonly StepTraceInput[]): string {
  const label = /^\[[^\]]*\] /.exec(identity)?.[0] ?? '';
  return inputs.find(({ main }) => main)?.step ?? `${label}scratch`;
}

/** Whether an input is what it was in an earlier execution. */
export function sameInput(now: StepTraceInput, before: StepTraceInput | undefined): boolean {
  if (before === undefined) return false;
  if (now.content !== undefined) return now.content === before.content;
  const known = recordsOf(before);
  return recordsOf(now).some((record) => known.includes(record));
}

/** The records that an input is known by. */
export function recordsOf({ record, records }: StepTraceInput): readonly number[] {
  return records ?? (record === undefined ? [] : [record]);
}

/** What differs in the step itself. */
export function ownChanges(trace: StepTrace, edge: Edge, texts: StepTexts): readonly Change[] {
  const { map, vertex } = edge.work;
  if (trace.op === map.digest) return [];
  if (edge.inputs.length === 0) {
    const now = map.describes ?? map.digest;
    return changed(
      sourceKind(vertex),
      textOfIdentity(trace.step),
      trace.describes ?? trace.op,
      now,
    );
  }
  const before = decodeOp(trace.pb);
  const changes = before.ok ? diffOps(before.value, vertex.op) : [];
  if (changes.length === 0)
    return changed(
      'order',
      'comes after',
      textOfIdentity(mainStep(trace.step, trace.inputs)),
      textOfIdentity(mainStep(trace.step, traceInputs(edge, texts))),
    );
  return changes.map((change) =>
    change.kind === 'environment' && texts.isArgument(change.name)
      ? { ...change, kind: 'argument' }
      : change,
  );
}

/** What differs in input i: the files the step uses of it, or its being another source or step. */
export function inputChanges(
  trace: StepTrace,
  edge: Edge,
  i: number,
  { db, texts }: MissWorld,
): readonly Change[] {
  const [input, before, now] = [edge.inputs[i], trace.inputs[i], traceInputs(edge, texts)[i]];
  if (input === undefined || now === undefined) return [];
  if (now.content !== undefined && before?.content !== undefined)
    return fileChanges(edge, i, { before, db });
  const { vertex } = input.work;
  if (input.inputs.length === 0 && vertex.op.body.kind === 'source') {
    const kind = sourceKind(vertex);
    return changed(kind, textOfIdentity(now.step), nameOfSource(before), nameOfSource(now));
  }
  if (before !== undefined && before.step !== now.step)
    return changed('order', 'comes after', textOfIdentity(before.step), textOfIdentity(now.step));
  return [];
}

const nameOfSource = (input: StepTraceInput | undefined): string | undefined =>
  input === undefined ? undefined : (input.describes ?? textOfIdentity(input.step));

const sourceKind = ({ op }: Vertex): 'base' | 'source' =>
  op.body.kind === 'source' &&
  /^(?:docker-image|oci-layout|varve-template):/.test(op.body.source.identifier)
    ? 'base'
    : 'source';

function fileChanges(
  edge: Edge,
  i: number,
  { before, db }: { readonly before: StepTraceInput; readonly db: TraceDb },
): readonly Change[] {
  const packed = before.content === undefined ? undefined : db.listing(before.content);
  const listing = edge.listings[i];
  const vertex = edge.inputs[i]?.work.vertex;
  if (packed === undefined || listing === undefined || vertex === undefined) return [];
  const files = diffListings(decodeListing(packed), listing());
  const rules = [before.ignored, ignorePatternsOf(vertex)].map(patterns);
  const split = diffIgnoreRules(files, rules[0] ?? [], rules[1] ?? []);
  return [...split.rules, ...split.files];
}

/** The files behind the content digests of an executed step's inputs, to be packed when they are new. */
export function packListings(edge: Edge): ReadonlyMap<Digest, () => Uint8Array> {
  const listings = new Map<Digest, () => Uint8Array>();
  edge.contents.forEach((content, i) => {
    const listing = edge.listings[i];
    if (content !== undefined && listing !== undefined)
      listings.set(content, () => encodeListing(listing()));
  });
  return listings;
}

function patterns(json: string | undefined): readonly string[] {
  const parsed = json === undefined ? undefined : parseJson(json);
  const value: unknown = parsed?.ok === true ? parsed.value : [];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
