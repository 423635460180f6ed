/** Where a piece of a zstd stream belongs. */
export interface FramePiece {
  readonly data: Uint8Array;
  /** The piece ends its frame: what follows starts a new one. */
  readonly last: boolean;
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

type State =
  | { readonly at: 'magic' | 'skip-size' | 'descriptor' | 'block-header' }
  /** `then` comes after `left` more bytes that only pass through. */
  | { readonly at: 'pass'; left: number; readonly then: 'block-header' | 'end' };

/**
 * Cuts a zstd stream (RFC 8878) at the ends of its frames without decompressing it, so that each frame gets a decoder of
 * its own: Node's decoder stops at the end of a frame and drops what the same chunk holds behind it. Skippable frames are
 * left out. Throws on what is not zstd.
 */
export class ZstdFrameSplitter {
  #state: State = { at: 'magic' };
  /** Bytes of a field that is not complete yet. */
  #field: number[] = [];
  #skipping = false;
  #checksum = false;

  /** The pieces of the next chunk. */
  *push(chunk: Uint8Array): Generator<FramePiece> {
    let start = 0;
    for (let at = 0; at < chunk.length; ) {
      if (this.#state.at === 'pass') {
        const step = Math.min(this.#state.left, chunk.length - at);
        this.#state.left -= step;
        at += step;
        if (this.#state.left > 0) continue;
        if (this.#state.then === 'block-header') {
          this.#state = { at: 'block-header' };
          continue;
        }
      } else {
        this.#field.push(chunk[at] ?? 0);
        at++;
        this.#advance();
        if (!this.#isEnd()) continue;
      }
      if (!this.#skipping) yield { data: chunk.subarray(start, at), last: true };
      start = at;
      this.#state = { at: 'magic' };
    }
    if (start < chunk.length && !this.#skipping) yield { data: chunk.subarray(start), last: false };
  }

  /** Whether the stream may end here. */
  get complete(): boolean {
    return this.#state.at === 'magic' && this.#field.length === 0;
  }

  #isEnd(): boolean {
    return this.#state.at === 'pass' && this.#state.left === 0 && this.#state.then === 'end';
  }

  #advance(): void {
    const field = this.#field;
    switch (this.#state.at) {
      case 'magic':
        // The magic number decides only with its last byte, but whether bytes are passed on must be known with the first.
        if (field.length === 1) this.#skipping = (field[0] ?? 0) >> 4 === 5;
        if (field.length === 4) this.#magic(little(field));
        return;
      case 'skip-size':
        if (field.length === 4) this.#pass(little(field), 'end');
        return;
      case 'descriptor':
        if (field.length === headerLength(field[0] ?? 0)) {
          this.#checksum = ((field[0] ?? 0) & 4) !== 0;
          this.#to({ at: 'block-header' });
        }
        return;
      case 'block-header':
        if (field.length === 3) this.#block(little(field));
        return;
      case 'pass':
        throw new Error('no field is read while bytes pass');
    }
  }

  #magic(value: number): void {
    if (value === MAGIC) this.#to({ at: 'descriptor' });
    else if ((value & 0xfffffff0) >>> 0 === SKIPPABLE) this.#to({ at: 'skip-size' });
    else throw new Error('a zstd frame starts with wrong bytes');
  }

  #block(header: number): void {
    const last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    if (type === 3) throw new Error('a zstd block has the reserved type');
    const size = type === 1 ? 1 : header >> 3;
    this.#pass(size + (last && this.#checksum ? 4 : 0), last ? 'end' : 'block-header');
  }

  #pass(left: number, then: 'block-header' | 'end'): void {
    if (left === 0 && then === 'block-header') this.#to({ at: 'block-header' });
    else this.#to({ at: 'pass', left, then });
  }

  #to(state: State): void {
    this.#field = [];
    this.#state = state;
  }
}

/** Length of a frame header from its descriptor byte on: window, dictionary id and content size by its flags. */
function headerLength(descriptor: number): number {
  const single = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeFlag = descriptor >> 6;
  const contentSize = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
  return 1 + (single ? 0 : 1) + dictionary + contentSize;
}

function little(bytes: readonly number[]): number {
  return bytes.reduce((sum, byte, i) => sum + byte * 256 ** i, 0);
}
