import { z } from 'zod';
import { type Digest, goJson, parseDigest, parseJson, sha256 } from '../base/index.ts';

/** What a file with a finished root says of it, before the root's tar. */
export interface RootSnapshot {
  /** Of which distribution: `debian-debian12-x86_64`. */
  readonly provider: string;
  /** What the root is for: `disk`, `convert`. */
  readonly root: string;
  /** The key of the operation that makes it (`lockKey`). */
  readonly key: Digest;
  /** Of the uncompressed tar. */
  readonly diffId: Digest;
  /** What follows in the file: the tar in zstd. */
  readonly blob: { readonly digest: Digest; readonly size: number };
  /**
   * Seconds since the epoch: times of what is generated in it, and of its newest package. Absent where the store had the root
   * of another one's cache: no other root begins with it then.
   */
  readonly times?: { readonly epoch: number; readonly newest: number };
  /** What it is made of. */
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    readonly sha256: Digest;
  }[];
}

const digest = z.string().transform((text, context) => {
  const parsed = parseDigest(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'no digest' });
  return z.NEVER;
});
const seconds = z.int().min(0);

const schema = z.strictObject({
  provider: z.string(),
  root: z.string(),
  key: digest,
  diffId: digest,
  blob: z.strictObject({ digest, size: seconds }),
  times: z.strictObject({ epoch: seconds, newest: seconds }).exactOptional(),
  packages: z.array(z.strictObject({ name: z.string(), version: z.string(), sha256: digest })),
});

/** RFC 8878, section 3.1.2: a decoder of zstd passes such a frame over. */
const SKIPPABLE = 0x184d2a5a;
const FORMAT = 'varve.root-snapshot.v1';
/** Magic number and length of a skippable frame. */
export const SNAPSHOT_HEAD_BYTES = 8;
/** No list of packages is longer. */
const MAX_BYTES = 16 << 20;

/** The frame that stands before the tar: every decoder passes it over, so that the file is a tar in zstd for other tools. */
export function encodeRootSnapshot(snapshot: RootSnapshot): Buffer {
  // Values of JSON only; an interface has no index signature to say so.
  const json = goJson(snapshot as unknown as Parameters<typeof goJson>[0]);
  const payload = Buffer.from(`${FORMAT} ${sha256(json)}\n${json}`);
  const head = Buffer.alloc(SNAPSHOT_HEAD_BYTES);
  head.writeUInt32LE(SKIPPABLE, 0);
  head.writeUInt32LE(payload.length, 4);
  return Buffer.concat([head, payload]);
}

/** How many bytes the frame has behind its head; undefined where a file does not begin with one. */
export function rootSnapshotBytes(head: Uint8Array): number | undefined {
  if (head.length < SNAPSHOT_HEAD_BYTES) return undefined;
  const view = Buffer.from(head.buffer, head.byteOffset, head.length);
  const length = view.readUInt32LE(4);
  return view.readUInt32LE(0) === SKIPPABLE && length <= MAX_BYTES ? length : undefined;
}

/** Reads what the frame holds; undefined where a byte of it is not what was written. */
export function parseRootSnapshot(payload: Uint8Array): RootSnapshot | undefined {
  const text = Buffer.from(payload).toString('utf8');
  const end = text.indexOf('\n');
  const json = text.slice(end + 1);
  if (text.slice(0, end) !== `${FORMAT} ${sha256(json)}`) return undefined;
  const parsed = parseJson(json);
  const checked = parsed.ok ? schema.safeParse(parsed.value) : undefined;
  return checked?.success === true ? checked.data : undefined;
}
