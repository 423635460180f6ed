/** One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1); scheme and parameter names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly params: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
/** A header longer than this is not read further. */
const MAX_HEADER = 8192;

/** Reads the challenges of a header; what is malformed ends the reading. */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, MAX_HEADER);
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  while (at < text.length) {
    match(/[\s,]*/y);
    const word = match(TOKEN)?.[0];
    if (word === undefined) break;
    if (match(/\s*=\s*/y) === null) {
      challenges.push({ scheme: word.toLowerCase(), params: new Map() });
      continue;
    }
    const quoted = match(QUOTED);
    const value = quoted === null ? match(TOKEN)?.[0] : quoted[1]?.replace(/\\(.)/g, '$1');
    if (value === undefined) break;
    challenges.at(-1)?.params.set(word.toLowerCase(), value);
  }
  return challenges;
}
