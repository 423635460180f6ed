import { crc32c } from './crc32c.ts';
import { BLOCK, EXTENT_BLOCKS } from './format.ts';

const MAGIC = 0xf30a;
const ENTRY = 12;
/** Entries in an inode, and in a block, whose last word is a checksum. */
const IN_INODE = 4;
const IN_BLOCK = Math.floor((BLOCK - ENTRY) / ENTRY);

/** Blocks of a file that follow one another on the disk. */
export interface Extent {
  /** Place in the file, in blocks. */
  readonly at: number;
  readonly start: number;
  length: number;
}

/** Adds blocks to the end of a list of extents. */
export function addBlocks(extents: Extent[], at: number, start: number, count: number): void {
  let done = 0;
  const last = extents.at(-1);
  if (last !== undefined && last.at + last.length === at && last.start + last.length === start) {
    done = Math.min(count, EXTENT_BLOCKS - last.length);
    last.length += done;
  }
  while (done < count) {
    const length = Math.min(count - done, EXTENT_BLOCKS);
    extents.push({ at: at + done, start: start + done, length });
    done += length;
  }
}

/**
 * The 60 bytes of an inode that name its blocks. Where four extents are not enough, nodes of the tree are written by
 * `write`, which answers where; `seed` is the inode's own beginning of checksums.
 */
export function extentTree(
  extents: readonly Extent[],
  seed: number,
  write: (block: Buffer) => number,
): Buffer {
  let depth = 0;
  let entries: Buffer[] = extents.map(({ at, start, length }) => {
    const entry = Buffer.alloc(ENTRY);
    entry.writeUInt32LE(at, 0);
    entry.writeUInt16LE(length, 4);
    entry.writeUInt16LE(Math.floor(start / 2 ** 32), 6);
    entry.writeUInt32LE(start % 2 ** 32, 8);
    return entry;
  });
  for (; entries.length > IN_INODE; depth++) {
    const above: Buffer[] = [];
    for (let i = 0; i < entries.length; i += IN_BLOCK) {
      const part = entries.slice(i, i + IN_BLOCK);
      const node = Buffer.alloc(BLOCK);
      writeNode(node, part, { most: IN_BLOCK, depth });
      const tail = ENTRY + IN_BLOCK * ENTRY;
      node.writeUInt32LE(crc32c(seed, node, 0, tail), tail);
      const start = write(node);
      const index = Buffer.alloc(ENTRY);
      index.writeUInt32LE(part[0]?.readUInt32LE(0) ?? 0, 0);
      index.writeUInt32LE(start % 2 ** 32, 4);
      index.writeUInt16LE(Math.floor(start / 2 ** 32), 8);
      above.push(index);
    }
    entries = above;
  }
  const own = Buffer.alloc(60);
  writeNode(own, entries, { most: IN_INODE, depth });
  return own;
}

function writeNode(
  node: Buffer,
  entries: readonly Buffer[],
  { most, depth }: { readonly most: number; readonly depth: number },
): void {
  node.writeUInt16LE(MAGIC, 0);
  node.writeUInt16LE(entries.length, 2);
  node.writeUInt16LE(most, 4);
  node.writeUInt16LE(depth, 6);
  entries.forEach((entry, i) => node.set(entry, ENTRY + i * ENTRY));
}
