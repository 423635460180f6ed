import { readdirSync } from 'node:fs';
import { isErrno } from '../base/index.ts';

/** Names in a directory; none when it is not there. */
export function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return [];
    throw e;
  }
}
