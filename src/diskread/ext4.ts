import { type Bytes, DamagedDisk, MAX_READ, textOf, uuidOf } from './bytes.ts';
import type { FoundFs, VolumeEntry } from './volume.ts';

const META_BG = 0x10;
const WIDE = 0x80;
const EXTENTS = 0x8_0000;
const ROOT = 2;
/** Deeper is a circle. */
const MAX_DEPTH = 256;

interface Layout {
  readonly bytes: Bytes;
  readonly block: number;
  readonly inodes: number;
  readonly perGroup: number;
  readonly inodeSize: number;
  readonly tables: readonly number[];
}

interface Inode {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly flags: number;
  /** Extents, or a short link. */
  readonly own: Buffer;
}

/** An ext4 file system (Linux, Documentation/filesystems/ext4), whose files are in extents. */
export function openExt4(bytes: Bytes): FoundFs {
  const s = bytes.read(1024, 1024);
  const block = 1024 << s.readUInt32LE(24);
  const incompatible = s.readUInt32LE(96);
  const perGroup = s.readUInt32LE(40);
  const inodes = s.readUInt32LE(0);
  if (block > 65_536 || perGroup === 0 || inodes === 0 || inodes / perGroup > 1_000_000)
    throw new DamagedDisk('an ext4 file system with no inodes');
  if ((incompatible & META_BG) !== 0)
    throw new DamagedDisk('an ext4 file system with scattered group descriptors');
  const size = (incompatible & WIDE) === 0 ? 32 : Math.max(32, s.readUInt16LE(254));
  const groups = Math.ceil(inodes / perGroup);
  const table = bytes.read((s.readUInt32LE(20) + 1) * block, groups * size);
  const tables = Array.from({ length: groups }, (_, i) => {
    const at = i * size;
    return table.readUInt32LE(at + 8) + (size >= 64 ? table.readUInt32LE(at + 40) * 2 ** 32 : 0);
  });
  const layout: Layout = {
    ...{ bytes, block, inodes, perGroup, tables },
    inodeSize: s.readUInt32LE(76) === 0 ? 128 : s.readUInt16LE(88),
  };
  return {
    kind: 'ext4',
    label: textOf(s.subarray(120, 136)),
    uuid: uuidOf(s.subarray(104, 120)),
    volume: { entries: () => walk(layout, readInode(layout, ROOT), '', 0) },
  };
}

function readInode(layout: Layout, number: number): Inode {
  if (number < 1 || number > layout.inodes) throw new DamagedDisk(`there is no inode ${number}`);
  const table = layout.tables[Math.floor((number - 1) / layout.perGroup)] ?? 0;
  const at = table * layout.block + ((number - 1) % layout.perGroup) * layout.inodeSize;
  const i = layout.bytes.read(at, 128);
  return {
    mode: i.readUInt16LE(0),
    uid: i.readUInt16LE(2) + i.readUInt16LE(120) * 65_536,
    gid: i.readUInt16LE(24) + i.readUInt16LE(122) * 65_536,
    size: i.readUInt32LE(4) + i.readUInt32LE(108) * 2 ** 32,
    flags: i.readUInt32LE(32),
    own: Buffer.from(i.subarray(40, 100)),
  };
}

interface Extent {
  readonly block: number;
  readonly length: number;
  readonly start: number;
}

function* extents(layout: Layout, node: Buffer, depth: number): Generator<Extent> {
  const [magic, count, level] = [node.readUInt16LE(0), node.readUInt16LE(2), node.readUInt16LE(6)];
  if (magic !== 0xf30a || depth > 5 || 12 + count * 12 > node.length)
    throw new DamagedDisk('a file whose extents are none');
  for (let i = 0; i < count; i++) {
    const e = node.subarray(12 + i * 12, 24 + i * 12);
    if (level > 0) {
      const child = e.readUInt32LE(4) + e.readUInt16LE(8) * 2 ** 32;
      yield* extents(layout, layout.bytes.read(child * layout.block, layout.block), depth + 1);
      continue;
    }
    const written = e.readUInt16LE(4);
    // A length above 32768 is that of an extent which was never written: zeros.
    if (written > 32_768) continue;
    const start = e.readUInt32LE(8) + e.readUInt16LE(6) * 2 ** 32;
    yield { block: e.readUInt32LE(0), length: written, start };
  }
}

function readFile(layout: Layout, inode: Inode): Buffer {
  if ((inode.flags & EXTENTS) === 0 && inode.size > 0)
    throw new DamagedDisk('a file that is not in extents');
  if (inode.size > MAX_READ) throw new DamagedDisk(`a file of ${inode.size} bytes`);
  const out = Buffer.alloc(inode.size);
  if (inode.size === 0) return out;
  for (const { block, length, start } of extents(layout, inode.own, 0)) {
    const at = block * layout.block;
    const wanted = Math.min(length * layout.block, inode.size - at);
    if (wanted > 0) layout.bytes.read(start * layout.block, wanted).copy(out, at);
  }
  return out;
}

const TYPES: Readonly<Record<number, VolumeEntry['type']>> = {
  0o100000: 'file',
  0o040000: 'dir',
  0o120000: 'symlink',
};

function* walk(layout: Layout, dir: Inode, above: string, depth: number): Generator<VolumeEntry> {
  if (depth > MAX_DEPTH) throw new DamagedDisk('directories within one another without an end');
  for (const [name, number] of [...namesOf(readFile(layout, dir))].sort(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    const inode = readInode(layout, number);
    const type = TYPES[inode.mode & 0o170000] ?? 'other';
    const path = `${above}/${name}`;
    yield {
      ...{ path, type, mode: inode.mode & 0o7777, uid: inode.uid, gid: inode.gid },
      size: type === 'file' ? inode.size : 0,
      ...(type === 'symlink' ? { link: linkOf(layout, inode) } : {}),
      read: () => readFile(layout, inode),
    };
    if (type === 'dir') yield* walk(layout, inode, path, depth + 1);
  }
}

/** A link shorter than 60 bytes stands in the inode itself. */
const linkOf = (layout: Layout, inode: Inode): string =>
  (inode.flags & EXTENTS) === 0 && inode.size < 60
    ? inode.own.toString('utf8', 0, inode.size)
    : readFile(layout, inode).toString('utf8');

/** Names and inodes of a directory; what sorts it by hash looks like unused entries. */
function* namesOf(data: Buffer): Generator<readonly [name: string, inode: number]> {
  for (let at = 0; at + 8 <= data.length; ) {
    const [inode, length, name] = [
      data.readUInt32LE(at),
      data.readUInt16LE(at + 4),
      data.readUInt8(at + 6),
    ];
    if (length < 8 || at + length > data.length || 8 + name > length)
      throw new DamagedDisk('a directory whose entries do not fit');
    const text = data.toString('utf8', at + 8, at + 8 + name);
    if (inode !== 0 && name > 0 && text !== '.' && text !== '..') yield [text, inode];
    at += length;
  }
}
