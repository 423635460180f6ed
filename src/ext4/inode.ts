import { INODE_TYPES } from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import { BLOCK, type Ext4Node, INODE } from './format.ts';

/** Bytes of an inode behind the 128 that every one has, in use. */
const EXTRA = 32;
/** Where attributes begin, and how much room they have. */
export const XATTRS_AT = 128 + EXTRA;
export const XATTR_ROOM = INODE - XATTRS_AT;
const EXTENTS_FLAG = 0x8_0000;
/** A directory with more subdirectories says 1 (`dir_nlink`). */
const MAX_LINKS = 65_000;
const SECOND = 1_000_000_000n;

/** What an inode says beside the metadata of its entry. */
export interface InodeFacts {
  readonly number: number;
  readonly links: number;
  readonly size: number;
  /** Blocks in use, those of attributes and of the tree of extents included. */
  readonly blocks: number;
  /** The 60 bytes of `i_block`. */
  readonly own: Buffer;
  readonly isInExtents: boolean;
  /** The block of attributes; 0: none. */
  readonly xattrBlock: number;
  readonly xattrs?: Buffer;
  readonly seed: number;
}

/** Writes an inode at `at`; `epoch` in seconds stands for every time but that of the data. */
export function writeInode(
  table: Buffer,
  at: number,
  {
    node,
    facts,
    epoch,
  }: {
    readonly node: Pick<Ext4Node, 'type' | 'mode' | 'uid' | 'gid' | 'mtimeNs'>;
    readonly facts: InodeFacts;
    readonly epoch: number;
  },
): void {
  const i = table.subarray(at, at + INODE);
  const links = node.type === 'dir' && facts.links > MAX_LINKS ? 1 : facts.links;
  const sectors = facts.blocks * (BLOCK / 512);
  i.writeUInt16LE(INODE_TYPES[node.type][0] | node.mode, 0);
  i.writeUInt16LE(node.uid & 0xffff, 2);
  i.writeUInt32LE(facts.size % 2 ** 32, 4);
  i.writeUInt16LE(node.gid & 0xffff, 24);
  i.writeUInt16LE(links, 26);
  i.writeUInt32LE(sectors % 2 ** 32, 28);
  i.writeUInt32LE(facts.isInExtents ? EXTENTS_FLAG : 0, 32);
  i.set(facts.own, 40);
  i.writeUInt32LE(facts.xattrBlock % 2 ** 32, 104);
  i.writeUInt32LE(Math.floor(facts.size / 2 ** 32), 108);
  i.writeUInt16LE(Math.floor(sectors / 2 ** 32), 116);
  i.writeUInt16LE(Math.floor(facts.xattrBlock / 2 ** 32), 118);
  i.writeUInt16LE(node.uid >>> 16, 120);
  i.writeUInt16LE(node.gid >>> 16, 122);
  i.writeUInt16LE(EXTRA, 128);
  const made = BigInt(epoch) * SECOND;
  for (const [seconds, extra] of [
    [8, 140],
    [12, 132],
    [144, 148],
  ] as const)
    writeTime(i, made, { seconds, extra });
  writeTime(i, node.mtimeNs < made ? node.mtimeNs : made, { seconds: 16, extra: 136 });
  if (facts.xattrs !== undefined) i.set(facts.xattrs, XATTRS_AT);
  const sum = crc32c(facts.seed, i);
  i.writeUInt16LE(sum & 0xffff, 124);
  i.writeUInt16LE(sum >>> 16, 130);
}

/** Seconds in 34 bits, of which the upper two stand beside the nanoseconds. */
function writeTime(
  i: Buffer,
  ns: bigint,
  at: { readonly seconds: number; readonly extra: number },
): void {
  const nanos = ((ns % SECOND) + SECOND) % SECOND;
  const seconds = (ns - nanos) / SECOND;
  const low = BigInt.asIntN(32, seconds);
  i.writeInt32LE(Number(low), at.seconds);
  i.writeUInt32LE(Number((nanos << 2n) | (((seconds - low) >> 32n) & 3n)), at.extra);
}

/** `i_block` of a device: the older form where both numbers have 8 bits. */
export function deviceBlocks({ device }: Ext4Node): Buffer {
  const own = Buffer.alloc(60);
  const { major, minor } = device ?? { major: 0, minor: 0 };
  if (major < 256 && minor < 256) own.writeUInt32LE((major << 8) | minor, 0);
  else own.writeUInt32LE(((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0, 4);
  return own;
}
