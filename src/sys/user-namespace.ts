import { readFileSync } from 'node:fs';
import { isErrno } from '../base/index.ts';

/**
 * Whether this process is in a user namespace other than the machine's first one (user_namespaces(7)): there
 * `trusted.*` attributes, device nodes and control groups are out of reach even for its root.
 */
export function inUserNamespace(uidMap = '/proc/self/uid_map'): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync(uidMap, 'utf8'));
  } catch (e) {
    // A kernel without user namespaces.
    if (isErrno(e, 'ENOENT')) return false;
    throw e;
  }
}
