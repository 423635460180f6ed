import { chmodSync, closeSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { byCodeUnit, err, failure, isErrno, ok, type Result } from '../base/index.ts';
import { nevra, RpmHeader, TAG } from '../rpm/index.ts';

/** Offset in a database file of the number of the library that wrote it (SQLite's "Database File Format", 1.3). */
const WRITER = 96;
/** What stands there instead of the number of this program's library. */
const SOME_VERSION = 3_040_000;

/**
 * Writes rpm's database anew so that it tells nothing of how its packages came there: they are numbered by their names, times of
 * installation are `epoch`, and there are no free pages. A root that grew and one that was made in one go have the same bytes
 * then. Nothing happens where rpm uses another database. PK050: it cannot be read.
 */
export function canonicalRpmDatabase(dir: string, epoch: number): Result<void> {
  const path = join(dir, 'rpmdb.sqlite');
  // Another program made what is here; only a file of its own is rewritten, and nothing through a link.
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return ok(undefined);
  for (const name of BESIDE)
    if (lstatSync(join(dir, name), { throwIfNoEntry: false })?.isFile() === false)
      rmSync(join(dir, name), { recursive: true });
  const made = `${path}.new`;
  rmSync(made, { recursive: true, force: true });
  try {
    rewrite(path, made, epoch);
  } catch (e) {
    if (!isErrno(e, 'ERR_SQLITE_ERROR')) throw e;
    rmSync(made, { force: true });
    return err(failure('PK050', 1, `the database of rpm cannot be read: ${e.message}`));
  }
  const file = openSync(made, 'r+');
  try {
    const version = Buffer.alloc(4);
    version.writeUInt32BE(SOME_VERSION);
    writeSync(file, version, 0, version.length, WRITER);
  } finally {
    closeSync(file);
  }
  chmodSync(made, lstatSync(path).mode & 0o7777);
  for (const name of [...BESIDE, '.rpm.lock']) rmSync(join(dir, name), { force: true });
  renameSync(made, path);
  return ok(undefined);
}

/** Files that SQLite opens with a database: it would write through links. */
const BESIDE = ['rpmdb.sqlite-wal', 'rpmdb.sqlite-shm', 'rpmdb.sqlite-journal'];

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly sql: string;
}

/** One statement that makes a table or an index: whoever wrote the database could have written anything into its schema. */
const PLAIN = /^CREATE (?:TABLE|(?:UNIQUE )?INDEX) [^;]*$/i;

function rewrite(path: string, made: string, epoch: number): void {
  using out = new DatabaseSync(made, { enableForeignKeyConstraints: false });
  out.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
  out.prepare('ATTACH ? AS old').run(path);
  for (const pragma of ['user_version', 'application_id']) {
    const value = out.prepare(`PRAGMA old.${pragma}`).get()?.[pragma];
    if (typeof value === 'number') out.exec(`PRAGMA main.${pragma} = ${value}`);
  }
  const all = out
    .prepare("SELECT type, name, sql FROM old.sqlite_master WHERE sql <> '' ORDER BY name")
    .all() as unknown as readonly SchemaRow[]; // The columns are those of every schema table.
  const schema = all.filter(({ name, sql }) => !name.startsWith('sqlite_') && PLAIN.test(sql));
  out.exec('BEGIN');
  const tables = schema.filter(({ type }) => type === 'table');
  for (const { sql } of tables) out.prepare(sql).run();
  copyPackages(out, epoch);
  for (const { name } of tables) if (name !== 'Packages') copyTable(out, name, epoch);
  for (const { type, sql } of schema) if (type !== 'table') out.prepare(sql).run();
  out.exec('COMMIT; DETACH old');
}

/** Copies the headers in the order of their names; `moved` tells the new number of each. */
function copyPackages(out: DatabaseSync, epoch: number): void {
  out.exec('CREATE TEMP TABLE moved (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)');
  const rows = out.prepare('SELECT hnum, blob FROM old.Packages').all();
  const packages = rows.map(({ hnum, blob }) => {
    const bytes = blob instanceof Uint8Array ? Buffer.from(blob) : Buffer.alloc(0);
    return { hnum: Number(hnum), bytes, name: nameOf(bytes) };
  });
  packages.sort((a, b) => byCodeUnit(a.name, b.name) || a.hnum - b.hnum);
  const insert = out.prepare('INSERT INTO main.Packages (hnum, blob) VALUES (?, ?)');
  const note = out.prepare('INSERT INTO moved (old, new) VALUES (?, ?)');
  packages.forEach(({ hnum, bytes }, i) => {
    insert.run(i + 1, RpmHeader.withNumbers(bytes, INSTALLED, epoch));
    note.run(hnum, i + 1);
  });
}

/** Tags that say when a package was installed. */
const INSTALLED = [TAG.installTime, TAG.installTid] as const;

function nameOf(bytes: Buffer): string {
  const header = RpmHeader.stored(bytes, 'package');
  if (!header.ok) return '';
  const { value } = header;
  const [name = '', arch = ''] = [value.text(TAG.name), value.text(TAG.arch)];
  const [version = '', release = ''] = [value.text(TAG.version), value.text(TAG.release)];
  return nevra({ name, arch, version, release, epoch: value.number(TAG.epoch) ?? 0 });
}

/** An index has a key, the number of a package, and a place in it. */
function copyTable(out: DatabaseSync, table: string, epoch: number): void {
  const name = `"${table.replaceAll('"', '""')}"`;
  const columns = out.prepare(`PRAGMA old.table_info(${name})`).all();
  const isIndex = ['key', 'hnum', 'idx'].every((wanted) =>
    columns.some((column) => column['name'] === wanted),
  );
  if (!isIndex) {
    out.exec(`INSERT INTO main.${name} SELECT * FROM old.${name}`);
    return;
  }
  // A number is a key in the order of bytes of the machine.
  const time = Buffer.alloc(4);
  time.writeUInt32LE(epoch);
  const key = table === 'Installtid' ? `x'${time.toString('hex')}'` : 'o.key';
  out.exec(
    `INSERT INTO main.${name} (key, hnum, idx) SELECT ${key}, m.new, o.idx FROM old.${name} o JOIN moved m ON m.old = o.hnum ORDER BY m.new, o.idx, o.key`,
  );
}
