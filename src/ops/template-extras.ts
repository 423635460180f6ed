import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { err, failure, isErrno, makeImageDirectory, ok, type Result } from '../base/index.ts';
import type { TemplateLock, TemplateUser } from '../template/index.ts';
import { inRoot } from './root-path.ts';

interface Finished {
  readonly root: string;
  readonly lock: TemplateLock;
  readonly epoch: number;
}

/** Writes what a template adds to its packages: apt's marks and sources, accounts, files. */
export function writeExtras(plan: Finished): Result<void> {
  const { root, lock } = plan;
  if (lock.packages.some((p) => p.name === 'apt')) writeAptState(root, lock);
  for (const user of lock.users) {
    const added = addUser(root, user, plan.epoch);
    if (!added.ok) return added;
  }
  for (const file of lock.files) {
    const at = inRoot(root, file.path);
    if (isDirectory(at))
      return err(failure('PK051', 2, `${file.path} cannot be written: it is a directory`));
    makeImageDirectory(dirname(at));
    rmSync(at, { force: true });
    writeFileSync(at, file.content);
    chownSync(at, file.uid, file.gid);
    chmodSync(at, file.mode);
  }
  return ok(undefined);
}

/** Which packages apt may remove again when nothing needs them, and where it looks for new ones. */
function writeAptState(root: string, lock: TemplateLock): void {
  const marks = lock.packages
    .filter((p) => !p.manual)
    .map((p) => `Package: ${p.name}\nArchitecture: ${lock.architecture}\nAuto-Installed: 1\n`);
  makeImageDirectory(inRoot(root, 'var/lib/apt'));
  if (marks.length > 0)
    writeOpen(inRoot(root, 'var/lib/apt/extended_states'), `${marks.join('\n')}\n`);
  if (!lock.aptSources) return;
  const keyring = `/usr/share/keyrings/${lock.distribution}-archive-keyring.gpg`;
  const signedBy = lstatSync(inRoot(root, keyring), { throwIfNoEntry: false })?.isFile() === true;
  const stanzas = lock.sources.map((s) =>
    [
      'Types: deb',
      `URIs: ${s.uri}`,
      `Suites: ${s.suite}`,
      `Components: ${s.components.join(' ')}`,
      ...(signedBy ? [`Signed-By: ${keyring}`] : []),
      '',
    ].join('\n'),
  );
  const dir = inRoot(root, 'etc/apt/sources.list.d');
  makeImageDirectory(dir);
  writeOpen(
    inRoot(root, `etc/apt/sources.list.d/${lock.distribution}.sources`),
    stanzas.join('\n'),
  );
}

const DAY_S = 86_400;

/** Adds an account as useradd(8) would: locked, with a group of its own, its home made from /etc/skel. */
function addUser(root: string, user: TemplateUser, epoch: number): Result<void> {
  const passwd = readTable(root, 'etc/passwd');
  const taken = passwd.find((row) => row[0] === user.name || row[2] === String(user.uid));
  if (taken !== undefined)
    return err(
      failure(
        'PK051',
        2,
        `user ${user.name} (${user.uid}): ${taken[0] ?? ''} has this name or number already`,
      ),
    );
  const groups = readTable(root, 'etc/group');
  if (!groups.some((row) => row[2] === String(user.gid)))
    groups.push([user.name, 'x', String(user.gid), '']);
  for (const name of user.groups) {
    const row = groups.find((g) => g[0] === name);
    if (row === undefined)
      return err(failure('PK051', 2, `user ${user.name}: there is no group ${name} in the root`));
    row[3] = [...(row[3] ?? '').split(',').filter((m) => m !== ''), user.name].join(',');
  }
  const { name, uid, gid, home, shell } = user;
  passwd.push([name, 'x', String(uid), String(gid), '', home, shell]);
  const shadow = readTable(root, 'etc/shadow');
  shadow.push([name, '!', String(Math.floor(epoch / DAY_S)), '0', '99999', '7', '', '', '']);
  writeTable(root, 'etc/passwd', passwd);
  writeTable(root, 'etc/group', groups);
  writeTable(root, 'etc/shadow', shadow);
  const at = inRoot(root, home);
  if (lstatSync(at, { throwIfNoEntry: false }) === undefined) makeHome(root, at, user);
  return ok(undefined);
}

function makeHome(root: string, at: string, user: TemplateUser): void {
  makeImageDirectory(at);
  const skeleton = inRoot(root, 'etc/skel');
  if (isDirectory(skeleton)) cpSync(skeleton, at, { recursive: true, verbatimSymlinks: true });
  chownSync(at, user.uid, user.gid);
  for (const name of readdirSync(at, { recursive: true, encoding: 'utf8' }))
    chownSync(join(at, name), user.uid, user.gid);
  chmodSync(at, 0o700);
}

function readTable(root: string, path: string): string[][] {
  try {
    const text = readFileSync(inRoot(root, path), 'utf8');
    return text.split('\n').flatMap((line) => (line === '' ? [] : [line.split(':')]));
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return [];
    throw e;
  }
}

/** Mode and owner stay: the file is written in place. Where there was none, hashes are for root alone. */
function writeTable(root: string, path: string, rows: readonly (readonly string[])[]): void {
  makeImageDirectory(inRoot(root, 'etc'));
  const at = inRoot(root, path);
  const isNew = lstatSync(at, { throwIfNoEntry: false }) === undefined;
  writeFileSync(at, `${rows.map((row) => row.join(':')).join('\n')}\n`, { mode: 0o600 });
  if (isNew && path !== 'etc/shadow') chmodSync(at, 0o644);
}

/** The mask of the process is not seen in the image. */
function writeOpen(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o644);
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
