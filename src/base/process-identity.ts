import { readFileSync, readlinkSync } from 'node:fs';
import { isErrno } from './errno.ts';

/**
 * Who a process is, beyond its number: a number is given again, so the start time and the boot belong to it; a process in
 * another PID namespace cannot be looked up by number at all. Text form: `<boot id>/<pid namespace>/<pid>/<start time>`.
 */
export type ProcessIdentity = string & { readonly __brand: 'ProcessIdentity' };

/** The identity of this process (proc(5): `/proc/[pid]/stat`, field 22). */
export function ownIdentity(): ProcessIdentity {
  const pid = readlinkSync('/proc/self');
  // Brand constructor.
  return `${here()}/${pid}/${startTime(pid) ?? '?'}` as ProcessIdentity;
}

/**
 * Whether the process is known to have ended: `ended` for a number that is free or was given again, or an earlier boot;
 * `unknown` for a process of another PID namespace, which may well be alive.
 */
export function livenessOf(identity: string): 'alive' | 'ended' | 'unknown' {
  const [boot, namespace, pid, start] = identity.split('/');
  if (boot === undefined || namespace === undefined || pid === undefined || !/^[0-9]+$/.test(pid)) {
    return 'ended';
  }
  const [ownBoot, ownNamespace] = here().split('/');
  if (boot !== ownBoot) return 'ended';
  if (namespace !== ownNamespace) return 'unknown';
  return startTime(pid) === start ? 'alive' : 'ended';
}

function here(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
}

/** Start time in clock ticks after boot, or undefined when there is no such process, or only a zombie of it. */
function startTime(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold anything; the rest follows its last parenthesis.
    const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return rest[0] === 'Z' || rest[0] === 'X' ? undefined : rest[19];
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ESRCH')) return undefined;
    throw e;
  }
}
