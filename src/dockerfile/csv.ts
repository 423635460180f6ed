import { err, ok, type Result } from '../base/index.ts';

/**
 * Fields of one line of comma-separated values (RFC 4180 quoting), strictly: a quote inside a bare field is an error. The
 * error texts are those of Go's `encoding/csv`.
 */
export function csvFields(line: string): Result<readonly string[], string> {
  const text = line.replace(/\r?\n$/, '');
  if (text === '') return err('EOF');
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const field = text.charAt(at) === '"' ? quotedField(text, at) : bareField(text, at);
    if (!field.ok) return field;
    fields.push(field.value.text);
    at = field.value.end;
    if (at >= text.length) return ok(fields);
    // Behind the comma.
    at++;
    if (at === text.length) return ok([...fields, '']);
  }
}

type Field = Result<{ readonly text: string; readonly end: number }, string>;

function bareField(text: string, start: number): Field {
  const comma = text.indexOf(',', start);
  const end = comma === -1 ? text.length : comma;
  const field = text.slice(start, end);
  const quote = field.indexOf('"');
  if (quote !== -1) return err(parseError(text, start + quote, 'bare " in non-quoted-field'));
  return ok({ text: field, end });
}

function quotedField(text: string, start: number): Field {
  const unclosed = 'extraneous or missing " in quoted-field';
  let value = '';
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return err(parseError(text, at, unclosed));
    value += text.slice(at, quote);
    const behind = text.charAt(quote + 1);
    if (behind === '' || behind === ',') return ok({ text: value, end: quote + 1 });
    if (behind !== '"') return err(parseError(text, quote, unclosed));
    value += '"';
    at = quote + 2;
  }
}

/** Columns count bytes. */
function parseError(text: string, at: number, message: string): string {
  return `parse error on line 1, column ${Buffer.byteLength(text.slice(0, at)) + 1}: ${message}`;
}
