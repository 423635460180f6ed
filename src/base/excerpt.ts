import type { Failure, FailurePlace } from './failure.ts';
import { coveredCredentials } from './redact.ts';
import { codePoints, positionAt } from './source.ts';

/** Severity word printed in front of a code. */
export type Severity = 'error' | 'warning';

/**
 * Renders a failure with its excerpts, without colour and without a final newline:
 *
 *     error[DF012]: stage "biuld" is not defined
 *      --> Dockerfile:7:13
 *       |
 *     7 | COPY --from=biuld /out /
 *       |             ^^^^^ help: did you mean "build"?
 */
export function renderFailure(f: Failure, severity: Severity = 'error'): string {
  const { places = [] } = coveredFailure(f);
  const lines = [`${severity}[${f.code}]: ${f.message}`];
  places.forEach((place, i) => {
    const note = place.note ?? (i === 0 && f.help !== undefined ? `help: ${f.help}` : '');
    lines.push(...renderPlace(place, i === 0 ? '^' : '-', note));
  });
  if (places.length === 0 && f.help !== undefined) lines.push(`help: ${f.help}`);
  lines.push(...(f.details ?? []));
  for (const other of f.also ?? []) lines.push(renderFailure(other, severity));
  return lines.join('\n');
}

/** The failure with no credential in the texts of its places: their excerpts are made of these. */
export function coveredFailure(f: Failure): Failure {
  const places = f.places?.map(({ file, ...place }) => ({
    ...place,
    file: { ...file, text: coveredCredentials(file.text) },
  }));
  return {
    ...f,
    ...(places === undefined ? {} : { places }),
    ...(f.also === undefined ? {} : { also: f.also.map(coveredFailure) }),
  };
}

function renderPlace({ file, span }: FailurePlace, mark: string, note: string): string[] {
  const at = positionAt(file.text, span.offset);
  const start = file.text.lastIndexOf('\n', span.offset - 1) + 1;
  const newline = file.text.indexOf('\n', span.offset);
  const end = newline === -1 ? file.text.length : newline;
  const text = file.text.slice(start, end).replace(/\r$/, '');
  const marked = codePoints(file.text.slice(span.offset, Math.min(end, span.offset + span.length)));
  const pad = ' '.repeat(String(at.line).length);
  const indent = file.text.slice(start, span.offset).replace(/[^\t]/gu, ' ');
  if (end - start > LONG_LINE) return renderLongLine({ file, span }, { mark, note, start, end });
  const carets = mark.repeat(Math.max(1, marked));
  return [
    `${pad}--> ${file.path}:${at.line}:${at.column}`,
    `${pad} |`,
    `${at.line} | ${text}`,
    `${pad} | ${indent}${carets}${note === '' ? '' : ` ${note}`}`,
  ];
}

/** Longer lines are shown in part. */
const LONG_LINE = 400;
const SHOWN_BEFORE = 40;
const SHOWN = 120;

/** The part of a long line around the place, in whole characters. */
function renderLongLine(
  { file, span }: FailurePlace,
  at: {
    readonly mark: string;
    readonly note: string;
    readonly start: number;
    readonly end: number;
  },
): string[] {
  const { line, column } = positionAt(file.text, span.offset);
  const points = Array.from(file.text.slice(at.start, at.end).replace(/\r$/, ''));
  const from = Math.max(0, column - 1 - SHOWN_BEFORE);
  const shown = points.slice(from, from + SHOWN);
  const left = from > 0 ? '…' : '';
  const right = from + SHOWN < points.length ? '…' : '';
  const indent = Array.from(left)
    .concat(points.slice(from, column - 1))
    .map((c) => (c === '\t' ? c : ' '));
  const wanted = codePoints(file.text.slice(span.offset, span.offset + span.length));
  const marked = Math.max(1, Math.min(wanted, from + shown.length - (column - 1)));
  const pad = ' '.repeat(String(line).length);
  return [
    `${pad}--> ${file.path}:${line}:${column}`,
    `${pad} |`,
    `${line} | ${left}${shown.join('')}${right}`,
    `${pad} | ${indent.join('')}${at.mark.repeat(marked)}${at.note === '' ? '' : ` ${at.note}`}`,
  ];
}
