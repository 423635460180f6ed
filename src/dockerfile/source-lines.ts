import { isSpace } from './go-text.ts';

/** Longest line in bytes that BuildKit's scanner accepts. */
export const MAX_LINE_BYTES = 65_535;

/** A physical line. */
export interface SourceLine {
  readonly start: number;
  /** Behind the text, before CR and LF. */
  readonly end: number;
  /** Start of the next line. */
  readonly next: number;
}

/** Reads physical lines; stops for good at the end or at a line that is too long. */
export class SourceLines {
  readonly text: string;
  /** Number of lines read so far. */
  count = 0;
  /** Start of a line longer than `MAX_LINE_BYTES`. */
  tooLongAt: number | undefined;
  #at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** The next line, or undefined at the end. A byte-order mark in front of the first is not part of it. */
  next(): SourceLine | undefined {
    if (this.#at >= this.text.length || this.tooLongAt !== undefined) return undefined;
    const newline = this.text.indexOf('\n', this.#at);
    const stop = newline === -1 ? this.text.length : newline;
    if (this.#isTooLong(stop)) {
      this.tooLongAt = this.#at;
      return undefined;
    }
    let start = this.#at;
    if (this.count === 0 && this.text.charCodeAt(start) === 0xfeff) start++;
    let end = stop;
    while (end > start && this.text.charCodeAt(end - 1) === 0x0d) end--;
    this.#at = newline === -1 ? stop : stop + 1;
    this.count++;
    return { start, end, next: this.#at };
  }

  #isTooLong(stop: number): boolean {
    const units = stop - this.#at;
    if (units * 3 <= MAX_LINE_BYTES) return false;
    return (
      units > MAX_LINE_BYTES || Buffer.byteLength(this.text.slice(this.#at, stop)) > MAX_LINE_BYTES
    );
  }
}

/** Whether the first character of a line that is no white space is `#`. */
export function isComment(text: string, line: SourceLine): boolean {
  const at = contentStart(text, line);
  return at < line.end && text.charAt(at) === '#';
}

/** Start of the text of a line behind its leading white space. */
export function contentStart(text: string, line: SourceLine): number {
  let at = line.start;
  while (at < line.end) {
    const code = text.charCodeAt(at);
    if (code > 0x20 && code < 0x80) break;
    if (!isSpace(text.charAt(at))) break;
    at++;
  }
  return at;
}
