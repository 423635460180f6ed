import { INODE_TYPES, type InodeType } from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import { BLOCK } from './format.ts';

/** The last entry of a block: no name, but the checksum. */
const TAIL = 12;
const END = BLOCK - TAIL;

/** A name in a directory. */
export interface Dirent {
  readonly name: Uint8Array;
  readonly inode: number;
  readonly type: InodeType;
}

const sizeOf = (name: Uint8Array): number => (8 + name.length + 3) & ~3;

/** Blocks of a directory with these names, `.` and `..` included. */
export function directoryBlocks(names: readonly Uint8Array[]): number {
  let blocks = 1;
  let at = 24;
  for (const name of names) {
    const size = sizeOf(name);
    if (at + size > END) {
      blocks++;
      at = 0;
    }
    at += size;
  }
  return blocks;
}

/** The blocks of a directory, in the order of the names. `seed` is the inode's own beginning of checksums. */
export function* writeDirectory(
  dirents: readonly Dirent[],
  { self, above, seed }: { readonly self: number; readonly above: number; readonly seed: number },
): Generator<Buffer> {
  const dots: readonly Dirent[] = [
    { name: Buffer.from('.'), inode: self, type: 'dir' },
    { name: Buffer.from('..'), inode: above, type: 'dir' },
  ];
  let block = Buffer.alloc(BLOCK);
  let [at, last] = [0, 0];
  const finish = (): Buffer => {
    block.writeUInt16LE(END - last, last + 4);
    return withTail(block, seed);
  };
  for (const { name, inode, type } of [...dots, ...dirents]) {
    const size = sizeOf(name);
    if (at + size > END) {
      yield finish();
      block = Buffer.alloc(BLOCK);
      at = 0;
    }
    block.writeUInt32LE(inode, at);
    block.writeUInt16LE(size, at + 4);
    block[at + 6] = name.length;
    block[at + 7] = INODE_TYPES[type][1];
    block.set(name, at + 8);
    last = at;
    at += size;
  }
  yield finish();
}

/** A block of a directory without a name. */
export function emptyBlock(seed: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.writeUInt16LE(END, 4);
  return withTail(block, seed);
}

function withTail(block: Buffer, seed: number): Buffer {
  block.writeUInt16LE(TAIL, END + 4);
  block[END + 7] = 0xde;
  block.writeUInt32LE(crc32c(seed, block, 0, END), END + 8);
  return block;
}
