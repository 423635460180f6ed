import { crc32 } from 'node:zlib';
import type { KnownBlocks } from '../archive/index.ts';
import { type Digest, FailureError, isRecord, parseDigest, parseJson } from '../base/index.ts';
import type { ContentStore, MemoDb } from '../ports/index.ts';

const MEMO = 'gzip-blocks.v1';
/** The table never has more rows: a block takes the place of another whose checksum leads there. */
const ROWS = 65_536;

/** Where a compressed block is. */
interface Place {
  readonly name: string;
  readonly blob: Digest;
  readonly start: number;
  readonly size: number;
  /** CRC-32 of the compressed bytes. */
  readonly sum: number;
}

/**
 * The compressed blocks in blobs of this store, so that a layer most of which was in an earlier one is not compressed anew. What
 * is found is taken as a guess: blobs are removed and damaged, and checksums meet by chance.
 */
export class StoredBlocks implements KnownBlocks {
  readonly #content: ContentStore;
  readonly #memo: MemoDb;
  readonly #signal: AbortSignal;
  readonly #made: Omit<Place, 'blob'>[] = [];

  constructor(
    { content, memo }: { readonly content: ContentStore; readonly memo: MemoDb },
    signal: AbortSignal,
  ) {
    this.#content = content;
    this.#memo = memo;
    this.#signal = signal;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const place = decodePlace(this.#memo.get(MEMO, rowOf(name)));
    if (place?.name !== name) return undefined;
    const { blob, start, size, sum } = place;
    const parts: Uint8Array[] = [];
    try {
      for await (const part of this.#content.stream(blob, {
        signal: this.#signal,
        start,
        length: size,
      }))
        parts.push(part);
    } catch (e) {
      // The blob was removed.
      if (e instanceof FailureError) return undefined;
      throw e;
    }
    const bytes = Buffer.concat(parts);
    return bytes.length === size && crc32(bytes) === sum ? bytes : undefined;
  }

  add(name: string, start: number, bytes: Uint8Array): void {
    this.#made.push({ name, start, size: bytes.length, sum: crc32(bytes) });
  }

  /** The blob is whole, and has this name. */
  written(blob: Digest): void {
    const encoder = new TextEncoder();
    this.#memo.setAll(
      MEMO,
      this.#made.map((place) => [
        rowOf(place.name),
        encoder.encode(JSON.stringify({ ...place, blob })),
      ]),
    );
  }
}

function rowOf(name: string): string {
  return String(crc32(name) % ROWS);
}

function decodePlace(bytes: Uint8Array | undefined): Place | undefined {
  if (bytes === undefined) return undefined;
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const { name, start, size, sum } = parsed.value;
  const blob = parseDigest(String(parsed.value['blob']));
  if (typeof name !== 'string' || blob === undefined) return undefined;
  if (typeof start !== 'number' || typeof size !== 'number' || typeof sum !== 'number')
    return undefined;
  return { name, blob, start, size, sum };
}
