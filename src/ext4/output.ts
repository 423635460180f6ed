import { addBlocks, type Extent } from './extents.ts';
import { BLOCK, type Ext4Target } from './format.ts';
import type { Space } from './space.ts';

const CAPACITY = 256 * BLOCK;
const ZEROS = Buffer.alloc(BLOCK);

/** Blocks in the order in which space is given out, written together where they follow one another. */
export class Output {
  readonly #space: Space;
  readonly #target: Ext4Target;
  readonly #buffer = Buffer.allocUnsafeSlow(CAPACITY);
  /** The block that the buffer begins with. */
  #start = 0;
  /** Bytes in use. */
  #used = 0;

  constructor(space: Space, target: Ext4Target) {
    this.#space = space;
    this.#target = target;
  }

  /** Makes room for at least one block where the next one goes; the answer is that block. */
  place(): number {
    const next = this.#space.next;
    if (this.#used === CAPACITY || next !== this.#start + this.#used / BLOCK) {
      this.finish();
      this.#start = next;
    }
    return next;
  }

  /** Adds a block, and answers which one it is. */
  block(bytes: Buffer): number {
    const at = this.place();
    this.#space.take(1);
    this.#buffer.set(bytes, this.#used);
    this.#used += BLOCK;
    return at;
  }

  /** A place for data: up to `wanted` bytes, and whole blocks unless it is all of them. `keep` follows. */
  piece(wanted: number): { readonly buffer: Buffer; readonly at: number; readonly length: number } {
    this.place();
    const room = Math.min(CAPACITY - this.#used, this.#space.room * BLOCK);
    return { buffer: this.#buffer, at: this.#used, length: Math.min(wanted, room) };
  }

  /** Adds what was put at the place: blocks of zeros are left out. `at` is its place in the file, in blocks. */
  keep(length: number, { extents, at }: { readonly extents: Extent[]; readonly at: number }): void {
    const from = this.#used;
    const blocks = Math.ceil(length / BLOCK);
    this.#buffer.fill(0, from + length, from + blocks * BLOCK);
    for (let i = 0; i < blocks; i++) {
      const read = from + i * BLOCK;
      if (this.#isZero(read)) continue;
      if (read !== this.#used) this.#buffer.copyWithin(this.#used, read, read + BLOCK);
      addBlocks(extents, at + i, this.#space.take(1), 1);
      this.#used += BLOCK;
    }
  }

  #isZero(at: number): boolean {
    return this.#buffer[at] === 0 && this.#buffer.compare(ZEROS, 0, BLOCK, at, at + BLOCK) === 0;
  }

  /** Writes what is left. */
  finish(): void {
    if (this.#used > 0)
      this.#target.write(this.#buffer.subarray(0, this.#used), this.#start * BLOCK);
    this.#used = 0;
  }
}
