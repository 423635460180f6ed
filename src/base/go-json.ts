/** A value that Go's encoding/json can write. Objects are ordered: a list of pairs, or a plain object in insertion order. */
export type GoJson =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly GoJson[]
  | { readonly [key: string]: GoJson | undefined };

/**
 * Text exactly as Go's `encoding/json` Marshal writes it: HTML escaping on (`<`, `>`, `&`, U+2028, U+2029),
 * control characters as `\u00XX` but `\b \f \n \r \t` short (Go >= 1.22), lone surrogates as U+FFFD, no spaces,
 * keys in insertion order; a key whose value is undefined is left out (omitempty is the caller's business).
 */
export function goJson(value: GoJson): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return goString(value);
    case 'number':
      return goNumber(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      break;
  }
  // Array.isArray does not narrow readonly arrays out of a union.
  if (Array.isArray(value)) return `[${(value as readonly GoJson[]).map(goJson).join(',')}]`;
  const parts: string[] = [];
  for (const [key, member] of Object.entries(
    value as { readonly [key: string]: GoJson | undefined },
  )) {
    if (member !== undefined) parts.push(`${goString(key)}:${goJson(member)}`);
  }
  return `{${parts.join(',')}}`;
}

function goNumber(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`not a JSON number: ${value}`);
  return String(value);
}

const ESCAPED = /["\\<>&\u0000-\u001f\u2028\u2029]/g;

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A string literal as Go writes it. */
export function goString(text: string): string {
  // What cannot be UTF-8 becomes the replacement character, as Go's encoder writes it.
  return `"${text.toWellFormed().replace(ESCAPED, escapeChar)}"`;
}

function escapeChar(c: string): string {
  const short = SHORT[c];
  if (short !== undefined) return short;
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
