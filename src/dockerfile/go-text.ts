/** White space as Go's `unicode.IsSpace` defines it. */
export function isSpace(char: string): boolean {
  const code = char.charCodeAt(0);
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** Index of the first character of `text` from `from` on that is no white space; the length when there is none. */
export function skipSpace(text: string, from = 0): number {
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code > 0x20 && code < 0x80) break;
    if (!isSpace(text.charAt(at))) break;
    at++;
  }
  return at;
}

/** Visible ASCII that is neither a quote nor an escape character. */
const PLAIN = /[!#-&(-[\]-_a-~]+/y;

/** Index behind visible ASCII from `from` on in which no quote and no escape character stands; some of it may be left. */
export function skipPlain(text: string, from: number): number {
  PLAIN.lastIndex = from;
  return PLAIN.test(text) ? PLAIN.lastIndex : from;
}

/** Runs of ASCII that is neither white space nor a control character. */
const VISIBLE = /[!-~]+/y;

/** Index of the first white space of `text` from `from` on; the length when there is none. */
export function endOfWord(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    VISIBLE.lastIndex = at;
    if (VISIBLE.test(text)) at = VISIBLE.lastIndex;
    else if (isSpace(text.charAt(at))) break;
    else at++;
  }
  return at;
}

/** Index behind the last character before `end` that is no white space. */
export function skipSpaceBack(text: string, end = text.length): number {
  let at = end;
  while (at > 0) {
    const code = text.charCodeAt(at - 1);
    if (code > 0x20 && code < 0x80) break;
    if (!isSpace(text.charAt(at - 1))) break;
    at--;
  }
  return at;
}

/** Go's `strings.TrimSpace`. */
export function trimSpace(text: string): string {
  const start = skipSpace(text);
  return start === text.length ? '' : text.slice(start, skipSpaceBack(text));
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

// Compiling it takes long, and nearly all characters are ASCII.
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

function isPrintable(char: string): boolean {
  const code = char.charCodeAt(0);
  return code < 0x80 ? code >= 0x20 && code < 0x7f : PRINTABLE.test(char);
}

/** A text in double quotes as Go's `%q` and `strconv.Quote` write it. */
export function goString(text: string): string {
  let out = '"';
  for (const char of text) {
    const short = SHORT[char];
    if (short !== undefined) out += short;
    else if (isPrintable(char)) out += char;
    else out += escapePoint(char.codePointAt(0) ?? 0);
  }
  return `${out}"`;
}

function escapePoint(code: number): string {
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  // A lone surrogate cannot be UTF-8; Go sees the replacement character.
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}
