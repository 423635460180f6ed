import { readFileSync } from 'node:fs';
import { isErrno } from './errno.ts';

/** Lines of a file of text; none when it is not there, since another process may have removed it. */
export function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw e;
  }
}
