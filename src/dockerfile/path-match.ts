import type { Result } from '../base/index.ts';

/** Go's `path.Match`; the error is `syntax error in pattern`. */
export function pathMatch(_pattern: string, _name: string): Result<boolean, string> {
  throw new Error('not written yet');
}
