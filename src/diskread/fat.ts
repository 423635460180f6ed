import { type Bytes, DamagedDisk, MAX_READ } from './bytes.ts';
import type { FoundFs, VolumeEntry } from './volume.ts';

const DIRECTORY = 0x10;
const VOLUME_ID = 0x08;
const LONG_NAME = 0x0f;
/** Deeper is no EFI system partition, but a circle. */
const MAX_DEPTH = 16;

interface Layout {
  readonly bytes: Bytes;
  readonly bits: 12 | 16 | 32;
  readonly fat: Buffer;
  readonly clusterSize: number;
  readonly clusters: number;
  readonly dataStart: number;
}

/** A FAT12, FAT16 or FAT32 file system (Microsoft's FAT specification 1.03), long names included. */
export function openFat(bytes: Bytes): FoundFs {
  const boot = bytes.read(0, 512);
  const sector = boot.readUInt16LE(11);
  const perCluster = boot[13] ?? 0;
  if (![512, 1024, 2048, 4096].includes(sector) || perCluster === 0)
    throw new DamagedDisk('a FAT file system with no clusters');
  const reserved = boot.readUInt16LE(14);
  const rootEntries = boot.readUInt16LE(17);
  const total = boot.readUInt16LE(19) || boot.readUInt32LE(32);
  const fatSectors = boot.readUInt16LE(22) || boot.readUInt32LE(36);
  const rootStart = (reserved + (boot[16] ?? 0) * fatSectors) * sector;
  const dataStart = rootStart + Math.ceil((rootEntries * 32) / sector) * sector;
  const clusters = Math.floor((total * sector - dataStart) / (perCluster * sector));
  const bits = clusters < 4085 ? 12 : clusters < 65_525 ? 16 : 32;
  const layout: Layout = {
    ...{ bytes, bits, clusters, dataStart, clusterSize: perCluster * sector },
    fat: bytes.read(reserved * sector, fatSectors * sector),
  };
  const names = bits === 32 ? 67 : 39;
  const root =
    bits === 32 ? chain(layout, boot.readUInt32LE(44)) : bytes.read(rootStart, rootEntries * 32);
  const id = boot.readUInt32LE(names).toString(16).toUpperCase().padStart(8, '0');
  return {
    kind: 'fat',
    label: boot.toString('latin1', names + 4, names + 15).trimEnd(),
    uuid: `${id.slice(0, 4)}-${id.slice(4)}`,
    volume: { entries: () => walk(layout, root, '', 0) },
  };
}

function next({ fat, bits }: Layout, cluster: number): number {
  const at = Math.floor((cluster * bits) / 8);
  if (at + bits / 8 > fat.length) throw new DamagedDisk('a chain of clusters leaves the table');
  if (bits === 32) return fat.readUInt32LE(at) & 0x0fff_ffff;
  const word = fat.readUInt16LE(at);
  if (bits === 16) return word;
  return (cluster & 1) === 1 ? word >> 4 : word & 0xfff;
}

/** The bytes of a chain of clusters, at most `size`. */
function chain(layout: Layout, first: number, size = MAX_READ): Buffer {
  const parts: Buffer[] = [];
  const end = { 12: 0xff8, 16: 0xfff8, 32: 0x0fff_fff8 }[layout.bits];
  let left = size;
  for (let at = first; at >= 2 && at < end && left > 0; at = next(layout, at)) {
    if (at - 2 >= layout.clusters || parts.length > layout.clusters)
      throw new DamagedDisk('a chain of clusters that does not end');
    const length = Math.min(left, layout.clusterSize);
    parts.push(layout.bytes.read(layout.dataStart + (at - 2) * layout.clusterSize, length));
    left -= length;
  }
  return Buffer.concat(parts);
}

function* walk(layout: Layout, dir: Buffer, above: string, depth: number): Generator<VolumeEntry> {
  if (depth > MAX_DEPTH) throw new DamagedDisk('directories within one another without an end');
  let long = '';
  for (let at = 0; at + 32 <= dir.length && dir[at] !== 0; at += 32) {
    const entry = dir.subarray(at, at + 32);
    const attributes = entry[11] ?? 0;
    if (entry[0] === 0xe5) {
      long = '';
      continue;
    }
    if ((attributes & LONG_NAME) === LONG_NAME) {
      const part = [entry.subarray(1, 11), entry.subarray(14, 26), entry.subarray(28, 32)];
      long =
        Buffer.concat(part).toString('utf16le').replace(/\0.*$/s, '').replaceAll('\uffff', '') +
        long;
      continue;
    }
    const name = long === '' ? shortName(entry) : long;
    long = '';
    if ((attributes & VOLUME_ID) !== 0 || name === '.' || name === '..') continue;
    const first = (entry.readUInt16LE(20) << 16) + entry.readUInt16LE(26);
    const size = entry.readUInt32LE(28);
    const path = `${above}/${name}`;
    if ((attributes & DIRECTORY) === 0)
      yield { path, type: 'file', size, read: () => chain(layout, first, size) };
    else {
      yield { path, type: 'dir', size: 0, read: () => Buffer.alloc(0) };
      yield* walk(layout, chain(layout, first), path, depth + 1);
    }
  }
}

/** A name of eight and three characters; two bits say that a part is in small letters. */
function shortName(entry: Buffer): string {
  const part = (from: number, to: number, bit: number): string => {
    const text = entry.toString('latin1', from, to).trimEnd();
    return ((entry[12] ?? 0) & bit) === 0 ? text : text.toLowerCase();
  };
  const [base, extension] = [part(0, 8, 0x08), part(8, 11, 0x10)];
  return extension === '' ? base : `${base}.${extension}`;
}
