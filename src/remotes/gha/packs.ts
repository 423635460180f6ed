import {
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
} from '../../base/index.ts';

/** Blobs up to this size share entries. */
export const MAX_PACKED_BYTES = 2 ** 20;
/** A pack grows no larger. */
export const MAX_PACK_BYTES = 16 * 2 ** 20;

/** An entry that is several blobs one behind the other. */
export interface Pack {
  readonly key: string;
  readonly blobs: readonly PackedBlob[];
}

/** A blob in a pack. */
export interface PackedBlob {
  readonly digest: Digest;
  readonly offset: number;
  readonly size: number;
}

/** Distributes blobs over packs in their order. */
export function planPacks<T extends { readonly size: number }>(
  blobs: readonly T[],
  maxBytes = MAX_PACK_BYTES,
): readonly (readonly T[])[] {
  const packs: T[][] = [];
  let room = 0;
  for (const blob of blobs) {
    if (packs.length === 0 || blob.size > room) {
      packs.push([]);
      room = maxBytes;
    }
    packs.at(-1)?.push(blob);
    room -= blob.size;
  }
  return packs;
}

/** An index with packs: a line that says where blobs lie, then the bytes that were published. */
export function encodePackedIndex(packs: readonly Pack[], document: Uint8Array): Uint8Array {
  const head: GoJson = {
    version: 1,
    packs: packs.map(({ key, blobs }) => ({
      key,
      blobs: blobs.map(({ digest, offset, size }) => ({ digest, offset, size })),
    })),
  };
  return Buffer.concat([Buffer.from(`${goJson(head)}\n`), document]);
}

/** Reads what `encodePackedIndex` wrote. */
export function decodePackedIndex(
  bytes: Uint8Array,
): Result<{ readonly packs: readonly Pack[]; readonly document: Uint8Array }> {
  const end = bytes.indexOf(0x0a);
  const head = end === -1 ? undefined : parseJson(Buffer.from(bytes.subarray(0, end)).toString());
  const value = head?.ok === true && isRecord(head.value) ? head.value : {};
  if (value['version'] !== 1 || !Array.isArray(value['packs']))
    return err(failure('RC001', 3, 'index with packs: its first line is damaged'));
  const packs: Pack[] = [];
  for (const row of value['packs']) {
    const pack = packOf(row);
    if (pack === undefined) return err(failure('RC001', 3, 'index with packs: a pack is damaged'));
    packs.push(pack);
  }
  return ok({ packs, document: bytes.subarray(end + 1) });
}

function packOf(row: unknown): Pack | undefined {
  if (!isRecord(row) || typeof row['key'] !== 'string' || !Array.isArray(row['blobs']))
    return undefined;
  const blobs: PackedBlob[] = [];
  for (const blob of row['blobs']) {
    if (!isRecord(blob) || typeof blob['digest'] !== 'string') return undefined;
    const digest = parseDigest(blob['digest']);
    const { offset, size } = blob;
    if (digest === undefined || !isCount(offset) || !isCount(size)) return undefined;
    blobs.push({ digest, offset, size });
  }
  return { key: row['key'], blobs };
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
