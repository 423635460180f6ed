import { crc32 } from 'node:zlib';
import { type Bytes, DamagedDisk, guidOf, place } from './bytes.ts';

/** A partition as the table has it. */
export interface FoundPartition {
  readonly index: number;
  readonly name: string;
  /** Type GUID, or the two digits of MBR. */
  readonly type: string;
  /** What `PARTUUID=` means. */
  readonly uuid: string;
  readonly start: number;
  readonly size: number;
}

/** A partition table. */
export interface PartitionTable {
  readonly kind: 'gpt' | 'mbr';
  readonly id: string;
  readonly partitions: readonly FoundPartition[];
}

const SECTOR = 512;
/** No table of a disk has more (UEFI asks for 128). */
const MAX_ENTRIES = 4096;

/** The partition table of a disk: GPT (UEFI 2.10, section 5.3), else MBR (5.2.1); undefined where there is none. */
export function readPartitions(disk: Bytes): PartitionTable | undefined {
  if (disk.size < 2 * SECTOR) return undefined;
  if (disk.read(SECTOR, 8).toString('latin1') === 'EFI PART') return gpt(disk);
  const mbr = disk.read(0, SECTOR);
  return mbr.readUInt16LE(510) === 0xaa55 ? mbrOf(mbr) : undefined;
}

function gpt(disk: Bytes): PartitionTable {
  const header = disk.read(SECTOR, SECTOR);
  const length = header.readUInt32LE(12);
  if (length < 92 || length > SECTOR) throw new DamagedDisk(`a GPT header of ${length} bytes`);
  const zeroed = Buffer.from(header.subarray(0, length));
  zeroed.writeUInt32LE(0, 16);
  if (crc32(zeroed) !== header.readUInt32LE(16))
    throw new DamagedDisk('the header of its GPT does not have its checksum');
  const [count, size] = [header.readUInt32LE(80), header.readUInt32LE(84)];
  if (count > MAX_ENTRIES || size < 128 || size > 4096)
    throw new DamagedDisk(`a GPT of ${count} entries of ${size} bytes`);
  const entries = disk.read(place(header.readBigUInt64LE(72)) * SECTOR, count * size);
  if (crc32(entries) !== header.readUInt32LE(88))
    throw new DamagedDisk('the entries of its GPT do not have their checksum');
  const partitions: FoundPartition[] = [];
  for (let i = 0; i < count; i++) {
    const entry = entries.subarray(i * size, (i + 1) * size);
    if (entry.subarray(0, 16).every((b) => b === 0)) continue;
    const first = place(entry.readBigUInt64LE(32));
    const last = place(entry.readBigUInt64LE(40));
    partitions.push({
      index: i + 1,
      name: entry.toString('utf16le', 56, 128).replace(/\0.*$/s, ''),
      type: guidOf(entry.subarray(0, 16)),
      uuid: guidOf(entry.subarray(16, 32)).toLowerCase(),
      start: first * SECTOR,
      size: (last - first + 1) * SECTOR,
    });
  }
  return { kind: 'gpt', id: guidOf(header.subarray(56, 72)).toLowerCase(), partitions };
}

function mbrOf(mbr: Buffer): PartitionTable | undefined {
  const id = mbr.readUInt32LE(440).toString(16).padStart(8, '0');
  const partitions = [0, 1, 2, 3].flatMap((i) => {
    const entry = mbr.subarray(446 + i * 16, 462 + i * 16);
    const type = entry[4] ?? 0;
    if (type === 0) return [];
    return [
      {
        ...{ index: i + 1, name: '', type: type.toString(16).padStart(2, '0') },
        uuid: `${id}-${String(i + 1).padStart(2, '0')}`,
        start: entry.readUInt32LE(8) * SECTOR,
        size: entry.readUInt32LE(12) * SECTOR,
      },
    ];
  });
  return partitions.length === 0 ? undefined : { kind: 'mbr', id: `0x${id}`, partitions };
}
