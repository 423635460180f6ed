import { BLOCK, DESCRIPTOR, DoesNotFit, GROUP, INODE } from './format.ts';

/** Inodes fill whole blocks. */
const INODES_PER_BLOCK = BLOCK / INODE;
/** Bytes of a file system for each inode, as mke2fs(8) has by default. */
const BYTES_PER_INODE = 16_384;
/** Blocks that a last group must have beside its copy of the superblock. */
const LEAST_GROUP = 64;
/** Blocks of the journal by blocks of the file system, as mke2fs(8) has it. */
const JOURNALS: readonly (readonly [below: number, blocks: number])[] = [
  [2048, 0],
  [32_768, 1024],
  [262_144, 4096],
  [524_288, 8192],
  [4_194_304, 16_384],
  [8_388_608, 32_768],
];

/** Sizes that follow from the number of blocks and inodes. */
export interface Geometry {
  readonly blocks: number;
  readonly groups: number;
  readonly inodesPerGroup: number;
  /** Blocks of one group's inodes. */
  readonly tableBlocks: number;
  /** Blocks of all group descriptors. */
  readonly descriptorBlocks: number;
  readonly journalBlocks: number;
}

/** The geometry of a file system of `bytes` with room for `inodes`. */
export function geometryOf(bytes: number, inodes: number): Geometry {
  let blocks = Math.floor(bytes / BLOCK);
  let groups = Math.ceil(blocks / GROUP);
  const descriptorBlocks = Math.ceil((groups * DESCRIPTOR) / BLOCK);
  const last = blocks - (groups - 1) * GROUP;
  if (groups > 1 && last < 1 + descriptorBlocks + LEAST_GROUP) {
    groups--;
    blocks = groups * GROUP;
  }
  const wanted = Math.max(Math.floor((blocks * BLOCK) / BYTES_PER_INODE), inodes);
  const tableBlocks = Math.ceil(Math.ceil(wanted / groups) / INODES_PER_BLOCK);
  const inodesPerGroup = tableBlocks * INODES_PER_BLOCK;
  if (blocks < LEAST_GROUP || inodesPerGroup > GROUP)
    throw new DoesNotFit(`${inodes} files do not fit in ${blocks * BLOCK} bytes`);
  const journalBlocks = JOURNALS.find(([below]) => blocks < below)?.[1] ?? 65_536;
  return { blocks, groups, inodesPerGroup, tableBlocks, descriptorBlocks, journalBlocks };
}

/** Groups with a copy of superblock and descriptors: 0, 1 and powers of 3, 5 and 7 (`sparse_super`). */
export function hasCopy(group: number): boolean {
  if (group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

/** Blocks in use, given out from the first to the last and never taken back. */
export class Space {
  readonly geometry: Geometry;
  /** One bit a block; groups follow one another. */
  readonly bitmap: Buffer;
  /** Used blocks of each group. */
  readonly used: Uint32Array;
  /** Ranges that copies of the superblock occupy, first to last. */
  readonly #copies: readonly (readonly [start: number, end: number])[];
  #next = 0;
  #copy = 0;

  constructor(geometry: Geometry) {
    this.geometry = geometry;
    const { groups, descriptorBlocks, blocks } = geometry;
    this.bitmap = Buffer.alloc(groups * BLOCK);
    this.used = new Uint32Array(groups);
    this.#copies = Array.from({ length: groups }, (_, group) => group)
      .filter(hasCopy)
      .map((group) => [group * GROUP, group * GROUP + 1 + descriptorBlocks]);
    for (const [start, end] of this.#copies) this.#mark(start, end);
    // What is behind the end counts as used in the bitmap only.
    for (let block = blocks; block < groups * GROUP; block++) this.#set(block);
  }

  /** The block that is given out next. */
  get next(): number {
    this.#skip();
    return this.#next;
  }

  /** Blocks in a row from `next` on. */
  get room(): number {
    const at = this.next;
    return (
      Math.min(this.#copies[this.#copy]?.[0] ?? this.geometry.blocks, this.geometry.blocks) - at
    );
  }

  #skip(): void {
    for (let copy = this.#copies[this.#copy]; copy !== undefined; copy = this.#copies[this.#copy]) {
      if (this.#next < copy[0]) break;
      this.#next = Math.max(this.#next, copy[1]);
      this.#copy++;
    }
    if (this.#next >= this.geometry.blocks)
      throw new DoesNotFit(`the files do not fit in ${this.geometry.blocks * BLOCK} bytes`);
  }

  /** Takes blocks from `next` on, no more than `room`, and answers the first. */
  take(count: number): number {
    const start = this.next;
    this.#mark(start, start + count);
    this.#next = start + count;
    return start;
  }

  /** Takes blocks in a row, wherever the next ones are. */
  run(count: number): number {
    // No run is longer than what lies between two copies: at most a table of inodes.
    while (this.room < count) this.#next += this.room;
    return this.take(count);
  }

  #mark(start: number, end: number): void {
    for (let block = start; block < end; ) {
      if (block % 8 === 0 && block + 8 <= end) {
        this.bitmap[block >> 3] = 0xff;
        block += 8;
      } else this.#set(block++);
    }
    for (let at = start; at < end; ) {
      const group = Math.floor(at / GROUP);
      const until = Math.min(end, (group + 1) * GROUP);
      this.used[group] = (this.used[group] ?? 0) + until - at;
      at = until;
    }
  }

  #set(block: number): void {
    this.bitmap[block >> 3] = (this.bitmap[block >> 3] ?? 0) | (1 << (block & 7));
  }
}
