import { type Span, spanOf } from '../base/index.ts';

/** A run of the text that stands in the source without a break: `at` in the text, `offset` in the source. */
export interface Piece {
  readonly at: number;
  readonly offset: number;
}

/** A text put together from pieces of a source file that knows where each character stands there. */
export class MappedText {
  readonly text: string;
  readonly #pieces: readonly Piece[];
  /** Where this text starts in the text that the pieces describe. */
  readonly #start: number;

  /** `pieces` are in order and the first starts at 0. */
  constructor(text: string, pieces: readonly Piece[], start = 0) {
    this.text = text;
    this.#pieces = pieces;
    this.#start = start;
  }

  /** The part from `start` up to `end`, which still knows where it stands. */
  slice(start: number, end = this.text.length): MappedText {
    return new MappedText(this.text.slice(start, end), this.#pieces, this.#start + start);
  }

  /** Where the characters from `start` up to `end` stand; continuation characters between them are covered. */
  span(start = 0, end = this.text.length): Span {
    const [first, another] = this.#pieces;
    if (first !== undefined && another === undefined)
      return {
        offset: first.offset + this.#start + start - first.at,
        length: end <= start ? 0 : end - start,
      };
    const offset = this.#offsetOf(start);
    return end <= start ? { offset, length: 0 } : spanOf(offset, this.#offsetOf(end - 1) + 1);
  }

  #offsetOf(index: number): number {
    const at = this.#start + index;
    let low = 0;
    let high = this.#pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#pieces[middle]?.at ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    const piece = this.#pieces[low];
    return piece === undefined ? 0 : piece.offset + at - piece.at;
  }
}
