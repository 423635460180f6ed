import { err, ok, type Result } from './result.ts';

/** Parses JSON that came from outside; the caller checks the shape. The error is the parser's message. */
export function parseJson(text: string): Result<unknown, string> {
  try {
    return ok(JSON.parse(text));
  } catch (e) {
    if (e instanceof SyntaxError) return err(e.message);
    throw e;
  }
}

/** True for a JSON object (not an array, not null). */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
