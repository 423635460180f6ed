import { isAbsolute, relative } from 'node:path';
import { err, type Failure } from '../base/index.ts';

/** Relative to the working directory where the file lies below it. */
export function shownPath(cwd: string, path: string): string {
  const short = relative(cwd, path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}

/** A failure that names the path as the user wrote it. */
export function shownAs(
  f: Failure,
  full: string,
  given: string,
): { readonly ok: false; readonly error: Failure } {
  return err({ ...f, message: f.message.replace(full, given) });
}
