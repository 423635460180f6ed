import {
  chmodSync,
  lchownSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { byCodeUnit, fsPath, isErrno, nameOfBytes, sha256 } from '../base/index.ts';
import { getXattr, setXattr } from '../sys/index.ts';
import { entryInRoot, inRoot } from './root-path.ts';

/** Numbers that maintainer scripts choose: the next free one, whoever comes first (Debian Policy 9.2.2). */
const DEBIAN_NUMBERS = { lowest: 100, first: 101, last: 999 } as const;

interface Wanted {
  /** Numbers from the lowest to the last count as chosen when an account was made; new ones are from the first on. */
  readonly numbers: { readonly lowest: number; readonly first: number; readonly last: number };
  /** Seconds since the epoch: when passwords count as changed. */
  readonly epoch: number;
  /** Numbers that are kept for accounts of the template. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
}

/**
 * Gives what packages left in a root the form that does not tell in which order they were installed: numbers of system
 * accounts come from their names, lists that scripts append to are sorted, generations of their backups are removed. A
 * root that was made in one go and one that grew are the same afterwards.
 */
export function canonicalRoot(root: string, wanted: Omit<Wanted, 'numbers'>): void {
  renumber(root, { ...wanted, numbers: DEBIAN_NUMBERS });
  for (const name of namesIn(inRoot(root, 'var/lib/dpkg/triggers')))
    rewrite(root, `var/lib/dpkg/triggers/${name}`, sortedLines);
  rewrite(root, 'var/lib/dpkg/diversions', sortedDiversions);
  for (const path of LISTS) rewrite(root, path, sortedLines);
  for (const path of LISTS_WITH_HEAD) rewrite(root, path, sortedTail);
  for (const name of namesIn(inRoot(root, 'var/lib/ucf')))
    if (/^(?:hashfile|registry)\.\d+$/.test(name)) rmSync(entryInRoot(root, `var/lib/ucf/${name}`));
}

/** Gives system accounts the numbers and the order that follow from their names. */
export const canonicalAccounts = (root: string, wanted: Wanted): void => renumber(root, wanted);

/** One entry a line, the order of which nothing depends on. */
const LISTS = [
  'var/lib/dpkg/statoverride',
  'var/lib/ucf/hashfile',
  'var/lib/ucf/registry',
  'var/lib/pam/seen',
] as const;
/** The same, below a comment. */
const LISTS_WITH_HEAD = ['etc/shells', 'var/lib/shells.state'] as const;

/** Rewrites a file in place where its text changes; mode and owner stay. */
function rewrite(root: string, name: string, change: (text: string) => string): void {
  const path = inRoot(root, name);
  const text = readText(path);
  if (text === undefined) return;
  const changed = change(text);
  if (changed !== text) writeFileSync(path, changed, 'latin1');
}

/** Bytes are kept: the files may hold names in any encoding. */
function readText(path: string): string | undefined {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  return readFileSync(path, 'latin1');
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const joined = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');
const sortedLines = (text: string): string => joined(lines(text).sort(byCodeUnit));

function sortedTail(text: string): string {
  const all = lines(text);
  const head = all.filter((line) => line.startsWith('#'));
  return joined([...head, ...all.filter((line) => !line.startsWith('#')).sort(byCodeUnit)]);
}

/** Three lines each: what is diverted, where to, by whom. */
function sortedDiversions(text: string): string {
  const all = text.split('\n');
  const entries: string[] = [];
  for (let i = 0; i + 2 < all.length; i += 3) entries.push(all.slice(i, i + 3).join('\n'));
  return joined(entries.sort(byCodeUnit));
}

type Row = string[];

/** Numbers and order of system accounts and groups follow from their names, and files follow the numbers. */
function renumber(root: string, wanted: Wanted): void {
  const passwd = readRows(root, 'etc/passwd');
  const group = readRows(root, 'etc/group');
  if (passwd === undefined || group === undefined) return;
  const uids = newNumbers(passwd, wanted.uids, wanted.numbers);
  const gids = newNumbers(group, wanted.gids, wanted.numbers);
  for (const row of passwd) {
    row[2] = moved(uids, row[2]);
    row[3] = moved(gids, row[3]);
  }
  for (const row of group) {
    row[2] = moved(gids, row[2]);
    row[3] = (row[3] ?? '').split(',').sort(byCodeUnit).join(',');
  }
  const [users, groups] = [ordered(passwd, wanted.numbers), ordered(group, wanted.numbers)];
  writeRows(root, 'etc/passwd', users);
  writeRows(root, 'etc/group', groups);
  const day = Math.floor(wanted.epoch / 86_400);
  alike(root, 'etc/shadow', users, (row) => {
    // Packages of Debian bring no such file: every day in it is that of the making.
    if (/^\d+$/.test(row[2] ?? ''))
      row[2] = String(wanted.numbers === DEBIAN_NUMBERS ? day : Math.min(day, Number(row[2])));
  });
  alike(root, 'etc/gshadow', groups, (row) => {
    for (const at of [2, 3]) row[at] = (row[at] ?? '').split(',').sort(byCodeUnit).join(',');
  });
  if (uids.size > 0 || gids.size > 0) chownAll(root, uids, gids);
}

/** Whether the number was chosen when the row was made; `users` has its own from base-passwd. */
function isMoving([name, , number = '']: Row, { lowest, last }: Wanted['numbers']): boolean {
  if (!/^\d+$/.test(number) || name === 'users') return false;
  return Number(number) >= lowest && Number(number) <= last;
}

/** Old to new numbers, of those that change. */
function newNumbers(
  rows: readonly Row[],
  kept: readonly number[],
  numbers: Wanted['numbers'],
): Numbers {
  const moving = rows.filter((row) => isMoving(row, numbers));
  const taken = new Set([
    ...kept,
    ...rows.filter((row) => !isMoving(row, numbers)).map((row) => Number(row[2])),
  ]);
  const changes = new Map<number, number>();
  const { first, last } = numbers;
  const size = last - first + 1;
  for (const row of moving.sort((a, b) => byCodeUnit(a[0] ?? '', b[0] ?? ''))) {
    const start = Number.parseInt(sha256(row[0] ?? '').slice(7, 15), 16);
    let number = first + (start % size);
    while (taken.has(number)) number = number === last ? first : number + 1;
    taken.add(number);
    if (number !== Number(row[2])) changes.set(Number(row[2]), number);
  }
  return changes;
}

const moved = (numbers: Numbers, text = ''): string =>
  /^\d+$/.test(text) ? String(numbers.get(Number(text)) ?? text) : text;

/** Rows of base-passwd and of people as they stand, then those of packages by name. */
const ordered = (rows: readonly Row[], numbers: Wanted['numbers']): readonly Row[] => [
  ...rows.filter((row) => !isMoving(row, numbers)),
  ...rows
    .filter((row) => isMoving(row, numbers))
    .sort((a, b) => byCodeUnit(a[0] ?? '', b[0] ?? '')),
];

/** Brings the rows of a table into the order of another one, by name. */
function alike(
  root: string,
  path: string,
  order: readonly Row[],
  change: (row: Row) => void,
): void {
  const rows = readRows(root, path);
  if (rows === undefined) return;
  const places = new Map(order.map((row, i) => [row[0] ?? '', i]));
  const place = (row: Row): number => places.get(row[0] ?? '') ?? order.length;
  rows.forEach(change);
  writeRows(
    root,
    path,
    rows.sort((a, b) => place(a) - place(b)),
  );
}

function readRows(root: string, path: string): Row[] | undefined {
  const text = readText(inRoot(root, path));
  return text === undefined ? undefined : lines(text).map((line) => line.split(':'));
}

const writeRows = (root: string, path: string, rows: readonly Row[]): void =>
  rewrite(root, path, () => joined(rows.map((row) => row.join(':'))));

type Numbers = ReadonlyMap<number, number>;

function chownAll(root: string, uids: Numbers, gids: Numbers): void {
  const todo = [root];
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const stat = lstatSync(fsPath(path));
    const [uid, gid] = [uids.get(stat.uid) ?? stat.uid, gids.get(stat.gid) ?? stat.gid];
    if (uid !== stat.uid || gid !== stat.gid) {
      // chown(2) takes these away.
      const capability = stat.isFile() ? getXattr(path, CAPABILITY) : undefined;
      lchownSync(fsPath(path), uid, gid);
      if (!stat.isSymbolicLink()) chmodSync(fsPath(path), stat.mode & 0o7777);
      if (capability !== undefined) setXattr(path, CAPABILITY, capability);
    }
    if (!stat.isDirectory()) continue;
    for (const name of readdirSync(fsPath(path), { encoding: 'buffer' }))
      todo.push(`${path}/${nameOfBytes(name)}`);
  }
}

const CAPABILITY = 'security.capability';

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return [];
    throw e;
  }
}
