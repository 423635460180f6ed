import {
  codePoints,
  coveredCredentials,
  type GoJson,
  goString,
  type SourceFile,
} from '../base/index.ts';
import type { LineRange } from './ast.ts';
import { eachLine } from './fail.ts';

/**
 * The lines of a file around some ranges, marked, as BuildKit prints them below an error (`errdefs.Source.Print`); ends
 * with a line feed. Empty where the ranges are not in the file.
 */
export function sourceExcerpt(file: SourceFile, ranges: readonly LineRange[]): string {
  const lines = coveredCredentials(file.text).split('\n');
  const first = Math.min(...ranges.map(([start]) => start));
  if (ranges.length === 0 || first > lines.length || first < 1) return '';
  const last = Math.min(
    Math.max(...ranges.map(([start, end]) => Math.max(start, end))),
    lines.length,
  );
  const { from, to } = padded(first, last, lines.length);
  const marked = (line: number): boolean =>
    ranges.some(([start, end]) => start <= line && line <= Math.max(start, end));
  const rule = '--------------------\n';
  let out = `${file.path}:${first}\n${rule}`;
  for (let line = from; line <= to; line++) {
    const mark = marked(line) ? '>>>' : '   ';
    out += ` ${String(line).padStart(3)} | ${mark} ${lines[line - 1] ?? ''}\n`;
  }
  return out + rule;
}

/** Some lines more on both sides; a round that finds room on both counts three. */
function padded(first: number, last: number, count: number): { from: number; to: number } {
  const wanted = first === last ? 4 : 2;
  let [from, to] = [first, last];
  for (let added = 0; added < wanted; added++) {
    if (from > 1) {
      from--;
      added++;
    }
    if (to !== count) {
      to++;
      added++;
    }
  }
  return { from, to };
}

/** Columns padded with blanks, the last one left as it is (Go `text/tabwriter` with these settings). */
export function columns(rows: readonly (readonly string[])[], padding: number): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, codePoints(cell) + padding);
    });
  return rows
    .map((row) =>
      row.map((cell, i) => (i === row.length - 1 ? cell : padTo(cell, widths[i] ?? 0))).join(''),
    )
    .map((line) => `${line}\n`)
    .join('');
}

const padTo = (cell: string, width: number): string =>
  cell + ' '.repeat(Math.max(0, width - codePoints(cell)));

/** A location as BuildKit's protobuf structures come out in JSON. */
export function goLocation(lines: LineRange): GoJson {
  const ranges = eachLine(...lines).map(([line]) => ({ start: { line }, end: { line } }));
  return { ranges };
}

/** JSON as Go's `json.MarshalIndent(value, "", "  ")` writes it. */
export function indentedJson(value: GoJson, indent = ''): string {
  if (typeof value === 'string') return goString(value);
  if (value === null || typeof value !== 'object') return String(value);
  const inner = `${indent}  `;
  const parts = isList(value)
    ? value.map((member) => `${inner}${indentedJson(member, inner)}`)
    : Object.entries(value).flatMap(([key, member]) =>
        member === undefined ? [] : [`${inner}${goString(key)}: ${indentedJson(member, inner)}`],
      );
  const [open, close] = isList(value) ? ['[', ']'] : ['{', '}'];
  return parts.length === 0
    ? `${open}${close}`
    : `${open}\n${parts.join(',\n')}\n${indent}${close}`;
}

const isList = (value: object): value is readonly GoJson[] => Array.isArray(value);
