/** A half-open range of a source text: `offset` and `length` in UTF-16 code units. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

/** A text that spans point into; `path` is as the user should see it (relative to the working directory). */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** 1-based position; `column` counts Unicode code points. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The span that covers `offset` up to `end` (exclusive). */
export function spanOf(offset: number, end: number): Span {
  return { offset, length: Math.max(0, end - offset) };
}

/** Line and column of an offset. */
export function positionAt(text: string, offset: number): Position {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
    line++;
    start = at + 1;
  }
  return { line, column: codePoints(text.slice(start, offset)) + 1 };
}

/** Number of Unicode code points in a text. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _point of text) count++;
  return count;
}
