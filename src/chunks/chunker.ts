import { CHUNK, cutLength } from './cut.ts';

/** Input is gathered up to here before it is cut. */
const CAPACITY = 4 * CHUNK.max;

/** Cuts a stream into content-defined chunks; how the stream is handed over does not change where the cuts are. */
export class Chunker {
  readonly #buffer = new Uint8Array(CAPACITY);
  #start = 0;
  #end = 0;

  /** The chunks that are certain with these bytes; each is memory of its own. */
  *push(data: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < data.length; ) {
      const step = Math.min(CAPACITY - this.#end, data.length - at);
      this.#buffer.set(data.subarray(at, at + step), this.#end);
      this.#end += step;
      at += step;
      yield* this.#cut(CHUNK.max);
    }
  }

  /** The last chunks; the chunker is empty afterwards. */
  *finish(): Generator<Uint8Array> {
    yield* this.#cut(1);
  }

  *#cut(needed: number): Generator<Uint8Array> {
    while (this.#end - this.#start >= needed) {
      const length = cutLength(this.#buffer, this.#start, this.#end);
      yield this.#buffer.slice(this.#start, this.#start + length);
      this.#start += length;
    }
    if (this.#start === 0) return;
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }
}
