export { formatBytes, neutralise } from '../../base/index.ts';

/** Seconds with one decimal. */
export function formatSeconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)}s`;
}

/** Seconds in front of a log line: three decimals below 10 s, two below 100 s, then one. */
export function formatStamp(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  return seconds.toFixed(seconds < 10 ? 3 : seconds < 100 ? 2 : 1);
}

/** Cuts text to a number of columns; the last becomes `…`. Wide characters count as two. */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return '';
  let used = 0;
  let out = '';
  for (const char of text.replaceAll('\t', '    ')) {
    const width = columnsOf(char);
    if (used + width > columns) return `${trimTo(out, columns - 1)}…`;
    out += char;
    used += width;
  }
  return out;
}

function trimTo(text: string, columns: number): string {
  let out = '';
  let used = 0;
  for (const char of text) {
    used += columnsOf(char);
    if (used > columns) return out;
    out += char;
  }
  return out;
}

/** Number of terminal columns of a text. */
export function textWidth(text: string): number {
  let width = 0;
  for (const char of text) width += columnsOf(char);
  return width;
}

/** East Asian wide and emoji blocks (Unicode Standard Annex 11, coarse); combining marks take no column. */
function columnsOf(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (code <= 0x36f || code === 0x200d || (code >= 0xfe00 && code <= 0xfe0f)) return 0;
  const wide =
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd);
  return wide ? 2 : 1;
}
