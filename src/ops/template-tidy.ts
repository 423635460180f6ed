import { lstatSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { fsPath, isErrno, nameOfBytes } from '../base/index.ts';
import { setTimes } from '../sys/index.ts';
import { entryInRoot, inRoot } from './root-path.ts';

/** Files that say when or how the root was made, or that the next use of a tool makes again. */
const REMOVED = [
  'etc/.pwd.lock',
  'etc/group-',
  'etc/gshadow-',
  'etc/passwd-',
  'etc/shadow-',
  'etc/subgid-',
  'etc/subuid-',
  'root/.bash_history',
  'var/cache/apt/pkgcache.bin',
  'var/cache/apt/srcpkgcache.bin',
  'var/cache/debconf/config.dat-old',
  'var/cache/debconf/passwords.dat-old',
  'var/cache/debconf/templates.dat-old',
  'var/cache/ldconfig/aux-cache',
  'var/lib/dbus/machine-id',
  'var/lib/dpkg/available-old',
  'var/lib/dpkg/diversions-old',
  'var/lib/dpkg/lock',
  'var/lib/dpkg/lock-frontend',
  'var/lib/dpkg/statoverride-old',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/triggers/Lock',
  'var/lib/systemd/random-seed',
  'var/lib/urandom/random-seed',
  'var/log/alternatives.log',
  'var/log/apt/history.log',
  'var/log/apt/term.log',
  'var/log/bootstrap.log',
  'var/log/dpkg.log',
  'var/log/fontconfig.log',
] as const;

/** Directories that a running system fills, and what packages have in them. */
const EMPTIED: readonly (readonly [dir: string, kept: readonly string[]])[] = [
  ['run', ['lock']],
  ['var/cache/man', []],
  ['tmp', []],
  ['var/tmp', []],
];

/** Takes out of a finished root what differs between two runs, so that the same lock gives the same bytes. */
export function tidyRoot(root: string, rpmDatabase?: string): void {
  for (const path of REMOVED) rmSync(entryInRoot(root, path), { force: true });
  if (rpmDatabase !== undefined) tidyRpmDatabase(inRoot(root, rpmDatabase));
  for (const [dir, kept] of EMPTIED)
    for (const name of names(inRoot(root, dir)))
      if (!kept.includes(name))
        rmSync(join(inRoot(root, dir), name), { recursive: true, force: true });
  // Every machine of an image would have the same.
  for (const name of names(inRoot(root, 'etc/ssh')))
    if (/^ssh_host_\w+_key(?:\.pub)?$/.test(name)) rmSync(join(inRoot(root, 'etc/ssh'), name));
  emptyMachineId(inRoot(root, 'etc/machine-id'));
}

/** Files that SQLite and rpm make again; a log that was not written back belongs to the database. */
function tidyRpmDatabase(dir: string): void {
  rmSync(join(dir, '.rpm.lock'), { force: true });
  const log = lstatSync(join(dir, 'rpmdb.sqlite-wal'), { throwIfNoEntry: false });
  if (log !== undefined && log.size > 0) return;
  for (const name of ['rpmdb.sqlite-wal', 'rpmdb.sqlite-shm'])
    rmSync(join(dir, name), { force: true });
}

/** An empty file makes the first boot choose an id (machine-id(5)); where there was none, none is made. */
function emptyMachineId(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === true) truncateSync(path);
}

function names(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return [];
    throw e;
  }
}

/**
 * Sets every time that is later than `after` to `to` (seconds): what comes out of packages keeps its own, whatever was made
 * here has one time, whenever it was made.
 */
export function clampTimes(
  root: string,
  times: {
    readonly after: number;
    readonly to: number;
    /** Directories too, whose time tells which package came last into them. */
    readonly directories?: boolean;
  },
): void {
  const [latestNs, toNs] = [
    BigInt(times.after) * 1_000_000_000n,
    BigInt(times.to) * 1_000_000_000n,
  ];
  const todo = [root];
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const entry = lstatSync(fsPath(path), { bigint: true });
    if (entry.mtimeNs > latestNs || (times.directories === true && entry.isDirectory()))
      setTimes(path, { atimeNs: toNs, mtimeNs: toNs });
    if (!entry.isDirectory()) continue;
    for (const name of readdirSync(fsPath(path), { encoding: 'buffer' }))
      todo.push(`${path}/${nameOfBytes(name)}`);
  }
}
