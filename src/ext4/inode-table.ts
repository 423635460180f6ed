import { BLOCK, type Ext4Node, type Ext4Target, INODE } from './format.ts';
import { type InodeFacts, writeInode } from './inode.ts';

/** An inode to be written. */
export interface NewInode {
  readonly node: Pick<Ext4Node, 'type' | 'mode' | 'uid' | 'gid' | 'mtimeNs'>;
  readonly facts: InodeFacts;
  readonly epoch: number;
}

/** Inodes, written in the order of their numbers, a piece of the table at a time. */
export class InodeTable {
  readonly #target: Ext4Target;
  readonly #tables: readonly number[];
  readonly #perGroup: number;
  readonly #buffer = Buffer.alloc(64 * BLOCK);
  /** Index of the first inode in the buffer: its number less one. */
  #first = 0;
  #filled = 0;
  /** Directories of each group. */
  readonly dirs: Uint32Array;

  constructor(target: Ext4Target, tables: readonly number[], perGroup: number) {
    this.#target = target;
    this.#tables = tables;
    this.#perGroup = perGroup;
    this.dirs = new Uint32Array(tables.length);
  }

  add(inode: NewInode): void {
    const index = inode.facts.number - 1;
    const group = Math.floor(index / this.#perGroup);
    const full = (index - this.#first + 1) * INODE > this.#buffer.length;
    if (full || group !== Math.floor(this.#first / this.#perGroup)) {
      this.finish();
      // A piece begins with a block.
      this.#first = index - ((index % this.#perGroup) % (BLOCK / INODE));
    }
    writeInode(this.#buffer, (index - this.#first) * INODE, inode);
    this.#filled = index - this.#first + 1;
    if (inode.node.type === 'dir') this.dirs[group] = (this.dirs[group] ?? 0) + 1;
  }

  finish(): void {
    if (this.#filled === 0) return;
    const start = this.#tables[Math.floor(this.#first / this.#perGroup)] ?? 0;
    const at = start * BLOCK + (this.#first % this.#perGroup) * INODE;
    this.#target.write(this.#buffer.subarray(0, this.#filled * INODE), at);
    this.#buffer.fill(0);
    this.#filled = 0;
  }
}
