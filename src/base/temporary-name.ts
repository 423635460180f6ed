import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from './errno.ts';
import { livenessOf, ownIdentity } from './process-identity.ts';

/** How temporary names begin. */
export const TEMPORARY = '.tmp-';

/** Process number and start time, then what boot and PID namespace they are of. */
const OWNED = /^\.tmp-p(\d+)t(\d+)b([0-9a-f]{6})n([0-9a-f]{6})-/;

/** A name for a file that is not finished: it says whose it is, so that any later command can tell whether that one is dead. */
export function temporaryName(what: string): string {
  const [boot = '', namespace = '', pid = '', start = ''] = ownIdentity().split('/');
  const owner = `p${pid}t${start}b${short(boot)}n${short(namespace)}`;
  return `${TEMPORARY}${owner}-${what.slice(0, 40)}-${randomBytes(6).toString('hex')}`;
}

/** Whether a temporary file is of a process that is known to have ended. */
export function isAbandoned(name: string): boolean {
  const [, pid = '', start = '', boot = '', namespace = ''] = OWNED.exec(name) ?? [];
  if (pid === '') return false;
  const [ownBoot = '', ownNamespace = ''] = ownIdentity().split('/');
  if (boot !== short(ownBoot)) return true;
  return (
    namespace === short(ownNamespace) &&
    livenessOf(`${ownBoot}/${ownNamespace}/${pid}/${start}`) === 'ended'
  );
}

/** Removes what dead processes left under temporary names in a directory; returns how many. A disk that is read-only keeps them. */
export function removeAbandoned(dir: string): number {
  let removed = 0;
  for (const name of namesIn(dir)) {
    if (!name.startsWith(TEMPORARY) || !isAbandoned(name)) continue;
    try {
      rmSync(join(dir, name), { recursive: true, force: true });
      removed++;
    } catch (e) {
      if (!isErrno(e, 'EROFS', 'EACCES', 'EPERM')) throw e;
    }
  }
  return removed;
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw e;
  }
}

const short = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 6);
