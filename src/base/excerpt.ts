import type { Failure, FailurePlace } from './failure.ts';
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
  const places = f.places ?? [];
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

function renderPlace(place: FailurePlace, mark: string, note: string): string[] {
  const { file, span } = place;
  const at = positionAt(file.text, span.offset);
  const start = file.text.lastIndexOf('\n', span.offset - 1) + 1;
  const newline = file.text.indexOf('\n', span.offset);
  const end = newline === -1 ? file.text.length : newline;
  const text = file.text.slice(start, end).replace(/\r$/, '');
  const marked = codePoints(file.text.slice(span.offset, Math.min(end, span.offset + span.length)));
  const pad = ' '.repeat(String(at.line).length);
  const indent = file.text.slice(start, span.offset).replace(/[^\t]/gu, ' ');
  const carets = mark.repeat(Math.max(1, marked));
  return [
    `${pad}--> ${file.path}:${at.line}:${at.column}`,
    `${pad} |`,
    `${at.line} | ${text}`,
    `${pad} | ${indent}${carets}${note === '' ? '' : ` ${note}`}`,
  ];
}
