import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import {
  byCodeUnit,
  type Digest,
  err,
  failure,
  type GoJson,
  goJson,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import type { StepTrace, StepTraceInput } from '../ports/index.ts';

/** What executions of steps looked like, as a cache carries it: records are named by their addresses. */
export interface TravellingTraces {
  readonly traces: readonly TravellingTrace[];
  /** Packed listings of the files behind content digests (`TraceDb.listing`). */
  readonly listings: ReadonlyMap<Digest, Uint8Array>;
}

/** An execution whose records are named by address (`recordAddresses`). */
export interface TravellingTrace extends Omit<StepTrace, 'record' | 'inputs'> {
  readonly record: string;
  readonly inputs: readonly TravellingInput[];
}

/** An input of such an execution. */
export interface TravellingInput extends Omit<StepTraceInput, 'record' | 'records'> {
  readonly records: readonly string[];
}

/** A blob of traces is written and read up to this size. */
export const MAX_TRACES_BYTES = 4 << 20;
/** Its text, and all listings of it unpacked, are read up to this size each. */
const MAX_TEXT = 32 << 20;
/** Executions in one blob. */
export const MAX_TRACES = 2000;
const MAX_INPUTS = 1000;

/** The bytes of a blob of traces; the same traces give the same bytes. */
export function encodeStepTraces({ traces, listings }: TravellingTraces): Uint8Array {
  const sorted = [...traces].sort((a, b) => a.at - b.at || byCodeUnit(a.record, b.record));
  const files = [...listings].sort(([a], [b]) => byCodeUnit(a, b));
  const text = goJson({
    version: 1,
    traces: sorted.map(traceJson),
    listings: Object.fromEntries(files.map(([content, packed]) => [content, base64(packed)])),
  });
  return zstdCompressSync(Buffer.from(text));
}

function traceJson(trace: TravellingTrace): GoJson {
  const { step, project, below, record, key, op, describes, pb, inputs, at, costMs } = trace;
  const facts = { step, project, below, record, key, op, describes, pb: base64(pb), at, costMs };
  return {
    ...facts,
    inputs: inputs.map(({ step: from, main, describes: what, ignored, content, records }) => ({
      ...{ step: from, main, describes: what, ignored, content },
      records,
    })),
  };
}

/** Reads a blob of traces; anything in it that is not as it must be makes it none. */
export function decodeStepTraces(bytes: Uint8Array): Result<TravellingTraces> {
  let text: string;
  try {
    text = zstdDecompressSync(bytes, { maxOutputLength: MAX_TEXT }).toString('utf8');
  } catch {
    return malformed(`it is not zstd, or more than ${MAX_TEXT} bytes unpacked`);
  }
  const parsed = parseJson(text);
  if (!parsed.ok) return malformed(parsed.error);
  const root = parsed.value;
  if (!isRecord(root) || root['version'] !== 1 || !Array.isArray(root['traces']))
    return malformed('expected version 1 and a list of traces');
  const rows = root['traces'] as readonly unknown[];
  if (rows.length > MAX_TRACES) return malformed(`more than ${MAX_TRACES} traces`);
  const traces: TravellingTrace[] = [];
  for (const row of rows) {
    const trace = isRecord(row) ? decodeTrace(row) : undefined;
    if (trace === undefined) return malformed(`trace ${traces.length} is none`);
    traces.push(trace);
  }
  const listings = decodeListings(root['listings']);
  return listings.ok ? ok({ traces, listings: listings.value }) : listings;
}

function malformed(why: string): Result<never> {
  return err(failure('RC008', 3, `traces of steps: ${why}`));
}

function decodeTrace(row: Readonly<Record<string, unknown>>): TravellingTrace | undefined {
  const { step, project, below, record, describes, pb, inputs, at, costMs } = row;
  const [key, op] = [digestOf(row['key']), digestOf(row['op'])];
  if (!isText(step) || !isText(project) || !isText(below) || !isAddress(record)) return undefined;
  if (key === undefined || op === undefined || !isOptionalText(describes)) return undefined;
  if (typeof pb !== 'string' || !isTime(at) || !isTime(costMs)) return undefined;
  if (!Array.isArray(inputs) || inputs.length > MAX_INPUTS) return undefined;
  const decoded: TravellingInput[] = [];
  for (const each of inputs as readonly unknown[]) {
    const input = isRecord(each) ? decodeInput(each) : undefined;
    if (input === undefined) return undefined;
    decoded.push(input);
  }
  return {
    ...{ step, project, below, record, key, op, at, costMs, inputs: decoded },
    ...(describes === undefined ? {} : { describes }),
    pb: Buffer.from(pb, 'base64'),
  };
}

function decodeInput(row: Readonly<Record<string, unknown>>): TravellingInput | undefined {
  const { step, main, describes, ignored, content, records } = row;
  const named = content === undefined ? undefined : digestOf(content);
  if (!isText(step) || !isOptionalText(describes)) return undefined;
  if (ignored !== undefined && typeof ignored !== 'string') return undefined;
  if (content !== undefined && named === undefined) return undefined;
  if (!Array.isArray(records) || records.length > MAX_INPUTS) return undefined;
  const addresses = (records as readonly unknown[]).filter(isAddress);
  if (addresses.length !== records.length) return undefined;
  return {
    step,
    ...(main === true ? { main } : {}),
    ...(describes === undefined ? {} : { describes }),
    ...(ignored === undefined ? {} : { ignored }),
    ...(named === undefined ? {} : { content: named }),
    records: addresses,
  };
}

/** Listings by content digest, each a zstd frame of `path NUL digits LF` lines, all of limited size together. */
function decodeListings(value: unknown): Result<ReadonlyMap<Digest, Uint8Array>> {
  const listings = new Map<Digest, Uint8Array>();
  if (!isRecord(value)) return malformed('expected listings by content digest');
  let left = MAX_TEXT;
  for (const [name, text] of Object.entries(value)) {
    const content = digestOf(name);
    if (content === undefined || typeof text !== 'string' || left <= 0)
      return malformed('a listing needs a content digest and a text, and all of them a limit');
    const packed = Buffer.from(text, 'base64');
    try {
      const lines = zstdDecompressSync(packed, { maxOutputLength: left });
      left -= lines.length;
      if (!isListing(lines)) return malformed('a listing holds other lines');
    } catch {
      return malformed('a listing is not zstd or too large');
    }
    listings.set(content, packed);
  }
  return ok(listings);
}

function isListing(lines: Buffer): boolean {
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf(0, at);
    const next = end === -1 ? -1 : lines.indexOf('\n', end);
    if (next === -1 || !/^[0-9a-f]{1,64}$/.test(lines.toString('latin1', end + 1, next)))
      return false;
    at = next + 1;
  }
  return true;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

const digestOf = (value: unknown): Digest | undefined =>
  typeof value === 'string' ? parseDigest(value) : undefined;

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length < 1 << 20;

const isOptionalText = (value: unknown): value is string | undefined =>
  value === undefined || isText(value);

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e15;

const isAddress = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
