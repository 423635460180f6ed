import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  err,
  FailureError,
  failure,
  isErrno,
  livenessOf,
  ok,
  ownIdentity,
  type Result,
} from '../base/index.ts';
import { Connection, damageMark } from './connection.ts';
import { databaseFailure, saysBusy, saysDamaged } from './failures.ts';
import { MIGRATIONS } from './schema.ts';

/** How long a statement waits for another process's write transaction; those are milliseconds long. */
const BUSY_MS = 60_000;

/** A database that is open with the current schema, and how it came to be. */
export interface Opened {
  readonly db: Connection;
  /** `new` when its tables were made just now: there is nothing in them yet. */
  readonly state: 'kept' | 'new';
  /** Where a damaged database was moved, when there was one. */
  readonly movedTo?: string;
}

/**
 * Opens the database: two pragmas and one read of its version when it is current. One that is damaged, or that an earlier
 * command marked as damaged, is moved aside and a new one is made.
 */
export function openDatabase(path: string, now: number): Result<Opened> {
  try {
    if (existsSync(damageMark(path))) return ok(replace(path, now));
    return ok(connect(path, now));
  } catch (e) {
    try {
      if (saysDamaged(e)) return ok(replace(path, now));
      return openFailure(e, path);
    } catch (e2) {
      return openFailure(e2, path);
    }
  }
}

function openFailure(e: unknown, path: string): Result<never> {
  if (e instanceof FailureError) return err(e.failure);
  const known = databaseFailure(e, path);
  if (known !== undefined) return err(known);
  if (isErrno(e, 'EACCES', 'EROFS', 'EPERM', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST')) {
    const full = e.code === 'ENOSPC' || e.code === 'EDQUOT';
    const text = `state database ${path}: cannot be made (${e.code ?? ''})`;
    return err(failure(full ? 'ST001' : 'ST002', 3, text, { cause: e }));
  }
  throw new Error(`opening the state database ${path}`, { cause: e });
}

function connect(path: string, now: number): Opened {
  if (!existsSync(path)) mkdirSync(dirname(path), { recursive: true });
  const db = new DatabaseSync(path, { timeout: BUSY_MS });
  try {
    db.exec('PRAGMA synchronous = NORMAL');
    const version = versionOf(db);
    if (version > MIGRATIONS.length) throw new FailureError(newer(path, version));
    const made = version === MIGRATIONS.length ? false : migrate(db, now);
    return { db: new Connection(path, db), state: made ? 'new' : 'kept' };
  } catch (e) {
    db.close();
    throw e;
  }
}

function newer(path: string, version: number): ReturnType<typeof failure> {
  return failure(
    'ST022',
    3,
    `state database ${path}: has schema version ${version}; this program knows versions up to ${MIGRATIONS.length}`,
    { help: 'use the newer program, or set VARVE_ROOT to another directory' },
  );
}

function versionOf(db: DatabaseSync): number {
  const row = db.prepare('PRAGMA user_version').get();
  return Number(row?.['user_version'] ?? 0);
}

/** Brings the schema up to date in one transaction; true when the database was empty before. */
function migrate(db: DatabaseSync, now: number): boolean {
  patiently(() => db.exec('PRAGMA journal_mode = WAL'));
  db.exec('BEGIN IMMEDIATE');
  try {
    const from = versionOf(db);
    MIGRATIONS.slice(from).forEach((sql, i) => {
      db.exec(sql);
      db.prepare('INSERT INTO migration (version, at) VALUES (?, ?)').run(from + i + 1, now);
    });
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    db.exec('COMMIT');
    return from === 0;
  } catch (e) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw e;
  }
}

/** Changing the journal mode does not honour the busy time-out when two processes make the same database. */
function patiently(work: () => void): void {
  for (let left = 500; ; left--) {
    try {
      work();
      return;
    } catch (e) {
      if (!saysBusy(e) || left === 0) throw e;
      pause();
    }
  }
}

/** Moves the damaged database aside and makes a new one; of several processes one does so, the others wait for it. */
function replace(path: string, now: number): Opened {
  const guard = `${path}.replacing`;
  mkdirSync(dirname(path), { recursive: true });
  while (!take(guard)) pause();
  try {
    const sound = existsSync(damageMark(path)) ? undefined : connectIfSound(path, now);
    if (sound !== undefined) return sound;
    const movedTo = `${path}.damaged-${randomBytes(4).toString('hex')}`;
    // The journal first: a new database must never meet the old one's.
    for (const suffix of ['-wal', '-shm', '']) moveIfThere(path + suffix, movedTo + suffix);
    rmSync(damageMark(path), { force: true });
    return { ...connect(path, now), movedTo };
  } finally {
    rmSync(guard, { force: true });
  }
}

/** Another process may have replaced the file meanwhile. */
function connectIfSound(path: string, now: number): Opened | undefined {
  try {
    return connect(path, now);
  } catch (e) {
    if (saysDamaged(e)) return undefined;
    throw e;
  }
}

function take(guard: string): boolean {
  try {
    writeFileSync(guard, ownIdentity(), { flag: 'wx' });
    return true;
  } catch (e) {
    if (!isErrno(e, 'EEXIST')) throw e;
  }
  try {
    const owner = readFileSync(guard, 'utf8');
    // An empty file was made an instant ago and its owner is about to be written.
    if (owner !== '' && livenessOf(owner) === 'ended') rmSync(guard, { force: true });
  } catch (e) {
    if (!isErrno(e, 'ENOENT')) throw e;
  }
  return false;
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (e) {
    if (!isErrno(e, 'ENOENT')) throw e;
  }
}

/** Opening is synchronous; only a process that meets another one making or replacing the database ever pauses. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
}
