import { awaitAll, type Digest, type Failure, sha256 } from '../base/index.ts';
import type { EventSink } from '../events/index.ts';
import { type Descriptor, STEP_TRACES_MEDIA_TYPE } from '../oci/index.ts';
import type { CacheRemote, MemoDb, RecordId, StepTrace, TraceDb } from '../ports/index.ts';
import {
  type CacheGraph,
  decodeStepTraces,
  MAX_TRACES_BYTES,
  recordAddresses,
  type TravellingTrace,
} from '../remotes/index.ts';

/** How long a build waits for what only explains. */
const WAIT_MS = 10_000;
/** Blobs of one cache that are read: a directory of many exports has one for each. */
const MAX_BLOBS = 16;
const MEMO = 'step-traces.v1';

interface Offer {
  readonly remote: CacheRemote;
  readonly graph: CacheGraph;
  readonly ids: ReadonlyMap<number, RecordId>;
  readonly blobs: readonly Descriptor[];
}

/** What the caches of a build know of the executions behind their records; fetched when a miss has to be explained. */
export class ImportedTraces {
  readonly #deps: { readonly traces: TraceDb; readonly memo: MemoDb };
  readonly #project: string | undefined;
  readonly #refused: (remote: string, why: Failure) => void;
  readonly #offers: Offer[] = [];
  #bringing: Promise<void> | undefined;

  /** `project` is the one that the executions count for; absent: the one they were of. */
  constructor(
    deps: { readonly traces: TraceDb; readonly memo: MemoDb },
    project: string | undefined,
    refused: (remote: string, why: Failure) => void,
  ) {
    this.#deps = deps;
    this.#project = project;
    this.#refused = refused;
  }

  /** Takes note of the traces that came with a graph, and of what its records are here. */
  offer(remote: CacheRemote, graph: CacheGraph, ids: ReadonlyMap<number, RecordId>): void {
    const blobs = (graph.attachments ?? [])
      .filter(
        ({ mediaType, size }) => mediaType === STEP_TRACES_MEDIA_TYPE && size <= MAX_TRACES_BYTES,
      )
      .slice(0, MAX_BLOBS);
    if (blobs.length > 0) this.#offers.push({ remote, graph, ids, blobs });
  }

  /** Enters what was offered, once; whatever is missing or damaged is said and left out. */
  readonly bring = (signal: AbortSignal): Promise<void> => {
    if (this.#offers.length === 0) return Promise.resolve();
    return (this.#bringing ??= this.#bringAll(signal));
  };

  async #bringAll(signal: AbortSignal): Promise<void> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
    await awaitAll(
      this.#offers.flatMap((offer) =>
        offer.blobs.map(async (blob) => {
          try {
            await this.#bringOne(offer, blob, limited);
          } catch (e) {
            // Cancelling ends the build by itself; a place that is too slow costs the explanation.
            if (!limited.aborted) throw e;
          }
        }),
      ),
    );
  }

  async #bringOne(
    { remote, graph, ids }: Offer,
    blob: Descriptor,
    signal: AbortSignal,
  ): Promise<void> {
    const { memo, traces: db } = this.#deps;
    const name = `${blob.digest} ${this.#project ?? ''}`;
    if (memo.get(MEMO, name) !== undefined) return;
    const read = await remote.read(blob, { signal, maxBytes: MAX_TRACES_BYTES });
    if (!read.ok) {
      this.#refused(remote.name, read.error);
      return;
    }
    const decoded = decodeStepTraces(read.value);
    if (!decoded.ok) {
      this.#refused(remote.name, decoded.error);
      return;
    }
    const { traces, listings } = decoded.value;
    const addresses = recordAddresses(graph.records);
    const recordOf = new Map<string, RecordId>();
    for (const [index, id] of ids) recordOf.set(addresses[index] ?? '', id);
    const own = traces.flatMap((trace) => arrived(trace, recordOf, this.#project));
    db.merge(
      own,
      new Map(
        [...listings].map(([content, packed]): [Digest, () => Uint8Array] => [
          content,
          () => packed,
        ]),
      ),
    );
    memo.set(MEMO, name, Buffer.from('1'));
  }
}

/** Makes what takes in the executions behind imported records; what is refused of them is a warning. */
export function importedTraces(
  deps: { readonly traces: TraceDb; readonly memo: MemoDb; readonly emit: EventSink },
  project?: string,
): ImportedTraces {
  return new ImportedTraces(deps, project, (name, why) =>
    deps.emit({
      type: 'warning',
      vertex: sha256(`importing cache manifest from ${name}`),
      rule: 'CacheTraces',
      message: `what the steps in the cache ${name} were made of is not used: ${why.message}`,
      detail: ['steps that run are explained by what this store built itself'],
    }),
  );
}

/** An execution as this store keeps it; none when its record did not come in. */
function arrived(
  { record, inputs, ...trace }: TravellingTrace,
  recordOf: ReadonlyMap<string, RecordId>,
  project: string | undefined,
): StepTrace[] {
  const made = recordOf.get(record);
  if (made === undefined) return [];
  return [
    {
      ...trace,
      record: made,
      project: project ?? trace.project,
      inputs: inputs.map(({ records, ...input }) => {
        const known = records.flatMap((each) => recordOf.get(each) ?? []).sort((a, b) => a - b);
        const [first] = known;
        return {
          ...input,
          ...(first === undefined ? {} : { record: first }),
          ...(known.length > 1 ? { records: known } : {}),
        };
      }),
    },
  ];
}
