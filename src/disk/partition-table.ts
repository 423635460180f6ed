import { crc32 } from 'node:zlib';

const SECTOR = 512;
const ENTRIES = 128;
const ENTRY = 128;
/** Sectors of the header and the entries. */
const TABLE = 1 + (ENTRIES * ENTRY) / SECTOR;
/** The first sector that a partition may have: a MiB, as sfdisk(8) and firmware expect it. */
const FIRST = 2048;

/** One row of the table. */
export interface GptEntry {
  readonly index: number;
  readonly name: string;
  readonly type: string;
  readonly uuid: string;
  readonly start: number;
  readonly size: number;
}

/**
 * A GUID partition table (UEFI 2.10, section 5.3) of a disk of `size` bytes: what stands at its beginning, the protective
 * record included, and what at its end.
 */
export function gptOf(
  id: string,
  size: number,
  entries: readonly GptEntry[],
): { readonly head: Buffer; readonly tail: Buffer } {
  const last = Math.floor(size / SECTOR) - 1;
  const rows = Buffer.alloc(ENTRIES * ENTRY);
  for (const entry of entries) {
    const row = rows.subarray((entry.index - 1) * ENTRY, entry.index * ENTRY);
    row.set(guidBytes(entry.type), 0);
    row.set(guidBytes(entry.uuid), 16);
    row.writeBigUInt64LE(BigInt(entry.start / SECTOR), 32);
    row.writeBigUInt64LE(BigInt((entry.start + entry.size) / SECTOR - 1), 40);
    row.set(Buffer.from(entry.name, 'utf16le').subarray(0, 72), 56);
  }
  const header = (own: number, other: number, at: number): Buffer => {
    const h = Buffer.alloc(SECTOR);
    h.write('EFI PART', 0, 'latin1');
    h.writeUInt32LE(0x0001_0000, 8);
    h.writeUInt32LE(92, 12);
    [own, other, FIRST, last - TABLE].forEach((lba, i) =>
      h.writeBigUInt64LE(BigInt(lba), 24 + i * 8),
    );
    h.set(guidBytes(id), 56);
    h.writeBigUInt64LE(BigInt(at), 72);
    h.writeUInt32LE(ENTRIES, 80);
    h.writeUInt32LE(ENTRY, 84);
    h.writeUInt32LE(crc32(rows), 88);
    h.writeUInt32LE(crc32(h.subarray(0, 92)), 16);
    return h;
  };
  return {
    head: Buffer.concat([protective(last), header(1, last, 2), rows]),
    tail: Buffer.concat([rows, header(last, 1, last - TABLE + 1)]),
  };
}

/** A record of one partition over the whole disk, so that older tools do not take it for empty. */
function protective(last: number): Buffer {
  const record = Buffer.alloc(SECTOR);
  record.set([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff], 446);
  record.writeUInt32LE(1, 454);
  record.writeUInt32LE(Math.min(last, 0xffff_ffff), 458);
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

/** Rows of a table of MBR. */
export const DOS_ENTRIES = 4;

/** The first sector of a disk with a table of MBR; numbers of cylinders say that they are not to be used. */
export function mbrOf(
  id: string,
  entries: readonly Pick<GptEntry, 'index' | 'type' | 'start' | 'size'>[],
): Buffer {
  const record = Buffer.alloc(SECTOR);
  record.writeUInt32LE(Number.parseInt(id, 16), 440);
  for (const { index, type, start, size } of entries) {
    const at = 446 + (index - 1) * 16;
    record.set([0, 0xfe, 0xff, 0xff, Number.parseInt(type, 16), 0xfe, 0xff, 0xff], at);
    record.writeUInt32LE(start / SECTOR, at + 8);
    record.writeUInt32LE(size / SECTOR, at + 12);
  }
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

/** The first three fields of a GUID are written with their lowest byte first (UEFI 2.10, appendix A). */
function guidBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
