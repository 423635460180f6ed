import { spawnSync } from 'node:child_process';
import { type Failure, failure } from '../base/index.ts';
import { findProgram, readText } from './host-programs.ts';

/** What says that this process was started again inside a user namespace: the id of the user outside. */
export const OUTER_USER = 'VARVE_OUTER_UID';

/** util-linux's program: the user becomes root of a user namespace, with all of the user's subordinate ids below. */
const ENTER = ['--user', '--map-root-user', '--map-auto', '--mount', '--'];

/** Commands that touch neither layers nor steps, and work as any user. */
const OUTSIDE = new Set(['completion', 'help', '--help', '-h', '--version']);

/** Whether a command line needs the rights of a user namespace when its user is not root. */
export function needsNamespace(argv: readonly string[]): boolean {
  const [command] = argv;
  return command !== undefined && !OUTSIDE.has(command) && !argv.some((a) => a === '--help');
}

/** How to start a program as root of a user namespace, or why that cannot be. */
export type NamespaceEntry =
  | { readonly ok: true; readonly file: string; readonly args: readonly string[] }
  | { readonly ok: false; readonly error: Failure };

/** Finds out whether this user can have a user namespace with subordinate ids (user_namespaces(7), subuid(5)). */
export function namespaceEntry(user: {
  readonly uid: number;
  readonly path: string;
}): NamespaceEntry {
  const find = (program: string): string | undefined =>
    findProgram(user.path, program, ['/usr/bin', '/bin']);
  const file = find('unshare');
  if (file === undefined) return no('the program "unshare" is not installed', 'util-linux');
  if (find('newuidmap') === undefined || find('newgidmap') === undefined)
    return no('the programs "newuidmap" and "newgidmap" are not installed', 'uidmap');
  const tried = spawnSync(file, [...ENTER, 'true'], { encoding: 'utf8' });
  if (tried.status === 0) return { ok: true, file, args: [file, ...ENTER] };
  const said = tried.stderr.trim().split('\n')[0] ?? '';
  if (readText('/proc/sys/user/max_user_namespaces').trim() === '0')
    return no(`${said}: user namespaces are turned off`, undefined, {
      help: 'as root: sysctl -w user.max_user_namespaces=15000',
    });
  return no(said, undefined, {
    help: `give the user a range of ids, as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un ${user.uid})`,
  });
}

function no(
  why: string,
  install: string | undefined,
  more: { readonly help?: string } = {},
): NamespaceEntry {
  return {
    ok: false,
    error: failure(
      'SB011',
      3,
      `without root a user namespace is needed, and cannot be had: ${why}`,
      {
        help: install === undefined ? 'run varve as root' : `apt-get install ${install}`,
        ...more,
      },
    ),
  };
}
