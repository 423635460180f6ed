import { err, ok, type Result } from './result.ts';

/** Whoever walks a document does it by recursion; nothing that is meant to be read is nested so deep. */
const MAX_DEPTH = 1000;

/** Parses JSON that came from outside; the caller checks the shape. The error is the parser's message. */
export function parseJson(text: string, maxDepth = MAX_DEPTH): Result<unknown, string> {
  if (isTooDeep(text, maxDepth)) return err(`it is nested deeper than ${maxDepth} levels`);
  try {
    return ok(JSON.parse(text));
  } catch (e) {
    if (e instanceof SyntaxError) return err(e.message);
    throw e;
  }
}

/** Looks at brackets outside of strings only; what is no JSON is found out by the parser. */
function isTooDeep(text: string, maxDepth: number): boolean {
  if (text.length < maxDepth) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22:
        at = endOfString(text, at);
        break;
      case 0x5b:
      case 0x7b:
        depth++;
        if (depth > maxDepth) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
      default:
        break;
    }
  }
  return false;
}

/** Where the string that begins here ends, or the text. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}

/** True for a JSON object (not an array, not null). */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
