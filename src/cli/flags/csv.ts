import { err, failure, ok, type Result } from '../../base/index.ts';

/** Fields of one CSV record (RFC 4180 quoting), as the Docker command line takes `key=value` lists. */
export function csvFields(text: string): Result<readonly string[], string> {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      at++;
      for (;;) {
        const quote = text.indexOf('"', at);
        if (quote === -1) return { ok: false, error: 'a quote is not closed' };
        field += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        field += '"';
        at++;
      }
      if (at < text.length && text[at] !== ',')
        return { ok: false, error: 'text after a closing quote' };
      fields.push(field);
    } else {
      const comma = text.indexOf(',', at);
      fields.push(text.slice(at, comma === -1 ? text.length : comma));
      at = comma === -1 ? text.length : comma;
    }
    if (at >= text.length) return ok(fields);
    at++;
  }
}

/** A `key=value,key=value` flag; keys in lower case. A field without `=` gets `bare` as its value where that is given. */
export function csvMap(
  flag: string,
  text: string,
  options: {
    readonly keys?: readonly string[];
    readonly bare?: string;
    /** What messages show of the text, where secrets may be in it. */
    readonly shown?: (text: string) => string;
  } = {},
): Result<ReadonlyMap<string, string>> {
  const fields = csvFields(text);
  const shown = options.shown?.(text) ?? text;
  if (!fields.ok) return usage(flag, shown, fields.error);
  const map = new Map<string, string>();
  for (const field of fields.value) {
    const equals = field.indexOf('=');
    if (equals === -1 && options.bare === undefined)
      return usage(flag, shown, `"${field}" must be key=value`);
    const key = (equals === -1 ? field : field.slice(0, equals)).trim().toLowerCase();
    if (options.keys !== undefined && !options.keys.includes(key))
      return usage(flag, shown, `unknown key "${key}"`, `known keys: ${options.keys.join(', ')}`);
    map.set(key, equals === -1 ? (options.bare ?? '') : field.slice(equals + 1));
  }
  return ok(map);
}

/** A usage failure about the value of a flag. */
export function usage(
  flag: string,
  value: string,
  why: string,
  help?: string,
): { readonly ok: false; readonly error: ReturnType<typeof failure> } {
  const message = `${flag} ${JSON.stringify(value)}: ${why}`;
  return err(failure('CL002', 2, message, help === undefined ? {} : { help }));
}
