import { crc32c } from './crc32c.ts';
import {
  BLOCK,
  DESCRIPTOR,
  type Ext4Options,
  FIRST_INODE,
  GROUP,
  INODE,
  JOURNAL_INODE,
} from './format.ts';
import type { Geometry, Space } from './space.ts';

const COMPATIBLE = { hasJournal: 0x4, extAttr: 0x8, dirIndex: 0x20 } as const;
const INCOMPATIBLE = { filetype: 0x2, extents: 0x40, wide: 0x80, flexGroups: 0x200 } as const;
const READ_ONLY = {
  sparseSuper: 0x1,
  largeFile: 0x2,
  hugeFile: 0x8,
  dirNlink: 0x20,
  extraIsize: 0x40,
  metadataChecksums: 0x400,
} as const;
const INODES_UNINITIALISED = 1;

const all = (flags: Readonly<Record<string, number>>): number =>
  Object.values(flags).reduce((sum, flag) => sum | flag, 0);

/** Where the parts of groups stand, and how many inodes are used. */
export interface Placed {
  readonly space: Space;
  readonly blockBitmaps: number;
  readonly inodeBitmaps: number;
  readonly tables: readonly number[];
  /** All numbers up to this one are in use. */
  readonly lastInode: number;
  readonly dirsOfGroup: Uint32Array;
  /** Of the journal, as the superblock repeats it; absent: there is none. */
  readonly journal?: Buffer;
}

/** Inodes of a group that are in use. */
const usedInodes = (g: Geometry, lastInode: number, group: number): number =>
  Math.max(0, Math.min(g.inodesPerGroup, lastInode - group * g.inodesPerGroup));

/** The bitmap of a group's inodes; what it does not need is set. */
export function inodeBitmap(g: Geometry, lastInode: number, group: number): Buffer {
  const bitmap = Buffer.alloc(BLOCK);
  const used = usedInodes(g, lastInode, group);
  bitmap.fill(0xff, 0, used >> 3);
  if (used % 8 !== 0) bitmap[used >> 3] = (1 << (used % 8)) - 1;
  bitmap.fill(0xff, g.inodesPerGroup >> 3);
  return bitmap;
}

/** All group descriptors; `seed` is the beginning of every checksum of the file system. */
export function descriptors(placed: Placed, seed: number): Buffer {
  const { geometry, bitmap, used } = placed.space;
  const table = Buffer.alloc(geometry.descriptorBlocks * BLOCK);
  const number = Buffer.alloc(4);
  for (let group = 0; group < geometry.groups; group++) {
    const d = table.subarray(group * DESCRIPTOR, (group + 1) * DESCRIPTOR);
    const inodes = usedInodes(geometry, placed.lastInode, group);
    const ownBlocks = Math.min(GROUP, geometry.blocks - group * GROUP);
    const sum = crc32c(seed, bitmap, group * BLOCK, (group + 1) * BLOCK);
    write64(d, [0, 32], placed.blockBitmaps + group);
    write64(d, [4, 36], placed.inodeBitmaps + group);
    write64(d, [8, 40], placed.tables[group] ?? 0);
    write32(d, [12, 44], ownBlocks - (used[group] ?? 0));
    write32(d, [14, 46], geometry.inodesPerGroup - inodes);
    write32(d, [16, 48], placed.dirsOfGroup[group] ?? 0);
    write32(d, [24, 56], sum);
    write32(d, [28, 50], geometry.inodesPerGroup - inodes);
    if (inodes === 0) d.writeUInt16LE(INODES_UNINITIALISED, 18);
    else {
      const own = inodeBitmap(geometry, placed.lastInode, group);
      write32(d, [26, 58], crc32c(seed, own, 0, geometry.inodesPerGroup >> 3));
    }
    number.writeUInt32LE(group);
    d.writeUInt16LE(crc32c(crc32c(seed, number), d) & 0xffff, 30);
  }
  return table;
}

function write64(d: Buffer, [low, high]: readonly [number, number], value: number): void {
  d.writeUInt32LE(value % 2 ** 32, low);
  d.writeUInt32LE(Math.floor(value / 2 ** 32), high);
}

function write32(d: Buffer, [low, high]: readonly [number, number], value: number): void {
  d.writeUInt16LE(value & 0xffff, low);
  d.writeUInt16LE(value >>> 16, high);
}

/** The superblock, or its copy in another group: 1024 bytes. */
export function superBlock(placed: Placed, options: Ext4Options, group = 0): Buffer {
  const { geometry: g, used } = placed.space;
  const s = Buffer.alloc(1024);
  const inodes = g.groups * g.inodesPerGroup;
  const free = g.blocks - used.reduce((sum, n) => sum + n, 0);
  // What root alone may use: a twentieth, as mke2fs(8) has by default.
  const reserved = Math.floor(g.blocks / 20);
  write64(s, [4, 336], g.blocks);
  write64(s, [8, 340], reserved);
  write64(s, [12, 344], free);
  const words: readonly (readonly [at: number, value: number])[] = [
    [0, inodes],
    [16, inodes - placed.lastInode],
    [24, 2],
    [28, 2],
    [32, GROUP],
    [36, GROUP],
    [40, g.inodesPerGroup],
    [48, options.epoch],
    [64, options.epoch],
    [76, 1],
    [84, FIRST_INODE],
    [92, all(COMPATIBLE) & (placed.journal === undefined ? ~COMPATIBLE.hasJournal : ~0)],
    [96, all(INCOMPATIBLE)],
    [100, all(READ_ONLY)],
    // Attributes and access lists are on.
    [256, 0xc],
    [264, options.epoch],
    // Names are hashed as bytes with a sign.
    [352, 1],
  ];
  for (const [at, value] of words) s.writeUInt32LE(value >>> 0, at);
  const halves: readonly (readonly [at: number, value: number])[] = [
    [54, 0xffff],
    [56, 0xef53],
    [58, 1],
    [60, 1],
    [88, INODE],
    [90, group],
    [254, DESCRIPTOR],
    [348, 32],
    [350, 32],
  ];
  for (const [at, value] of halves) s.writeUInt16LE(value, at);
  s.set(options.uuid, 104);
  s.set(Buffer.from(options.label, 'utf8').subarray(0, 16), 120);
  s.set(options.uuid, 236);
  s[252] = 1;
  s[372] = 4;
  s[373] = 1;
  if (placed.journal !== undefined) {
    s.writeUInt32LE(JOURNAL_INODE, 224);
    s[253] = 1;
    s.set(placed.journal, 268);
  }
  s.writeUInt32LE(crc32c(~0, s, 0, 1020), 1020);
  return s;
}

/** The first block of an empty journal (jbd2, all numbers with the highest byte first). */
export function journalHead(blocks: number, uuid: Uint8Array): Buffer {
  const j = Buffer.alloc(BLOCK);
  [0xc03b3998, 4, 0, BLOCK, blocks, 1, 1].forEach((value, i) => j.writeUInt32BE(value, i * 4));
  j.set(uuid, 48);
  j.writeUInt32BE(1, 64);
  return j;
}
