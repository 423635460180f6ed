import type { Digest } from '../base/index.ts';
import { isSecretName } from '../dockerfile/index.ts';
import type { FileIndexBlob } from '../image/index.ts';
import { decodeOp } from '../llb/index.ts';
import { STEP_TRACES_MEDIA_TYPE } from '../oci/index.ts';
import type { ContentStore, RecordId, StepTrace, TraceDb } from '../ports/index.ts';
import {
  encodeStepTraces,
  type GraphRecord,
  MAX_TRACES,
  MAX_TRACES_BYTES,
  recordAddresses,
  type TravellingTrace,
} from '../remotes/index.ts';

/** Packed listings that travel in one blob; of what is above that only the digests do. */
const MAX_LISTINGS = 2 << 20;

/**
 * The blob that tells what made the records of a graph: their steps, with the files that these used. `ids` are the records
 * of the database that those of the graph are. Steps with a variable that is named like a secret stay here.
 */
export async function exportedTraces(
  deps: { readonly traces: TraceDb; readonly content: ContentStore },
  graph: readonly GraphRecord[],
  ids: readonly RecordId[],
  warn: (message: string) => void,
): Promise<readonly FileIndexBlob[]> {
  const addresses = recordAddresses(graph);
  const addressOf = new Map<number, string>(ids.map((id, i) => [id, addresses[i] ?? '']));
  const kept = deps.traces
    .madeBy(ids)
    .filter((trace) => !namesSecret(trace))
    .sort((a, b) => b.at - a.at)
    .slice(0, MAX_TRACES);
  if (kept.length === 0) return [];
  const traces = kept.map((trace) => travelling(trace, addressOf));
  const bytes = encodeStepTraces({ traces, listings: listingsOf(deps.traces, kept) });
  if (bytes.length > MAX_TRACES_BYTES) {
    warn(`what the steps were made of has ${bytes.length} bytes and is left out`);
    return [];
  }
  const digest = await deps.content.put(bytes);
  return [{ blob: { mediaType: STEP_TRACES_MEDIA_TYPE, digest, size: bytes.length } }];
}

function travelling(trace: StepTrace, addressOf: ReadonlyMap<number, string>): TravellingTrace {
  const { record = -1, project, inputs, ...facts } = trace;
  return {
    ...facts,
    record: addressOf.get(record) ?? '',
    // Where it lies on this machine is nobody's business; its name tells projects apart.
    project: project.slice(project.lastIndexOf('/')),
    inputs: inputs.map(({ record: first, records, ...input }) => ({
      ...input,
      records: (records ?? (first === undefined ? [] : [first])).flatMap(
        (each) => addressOf.get(each) ?? [],
      ),
    })),
  };
}

/** The listings of the newest executions, as far as there is room. */
function listingsOf(db: TraceDb, kept: readonly StepTrace[]): ReadonlyMap<Digest, Uint8Array> {
  const listings = new Map<Digest, Uint8Array>();
  let left = MAX_LISTINGS;
  for (const { content } of kept.flatMap((trace) => trace.inputs)) {
    if (content === undefined || listings.has(content)) continue;
    const packed = db.listing(content);
    if (packed === undefined || packed.length > left) continue;
    left -= packed.length;
    listings.set(content, packed);
  }
  return listings;
}

function namesSecret({ pb }: StepTrace): boolean {
  const op = decodeOp(pb);
  if (!op.ok) return true;
  const { body } = op.value;
  if (body.kind !== 'exec') return false;
  return body.exec.meta.env.some((each) => isSecretName(each.replace(/=.*$/s, '')));
}
