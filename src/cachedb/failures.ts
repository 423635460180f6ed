import { type Failure, failure } from '../base/index.ts';

/** SQLite primary result codes (sqlite.org/rescode.html) that a user or the machine can cause. */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/** `SQLITE_IOERR_SHMSIZE`: the shared memory file beside the database cannot grow, which a full disk causes. */
const SHMSIZE = 10 | (19 << 8);

interface SqliteError extends Error {
  readonly errcode: number;
}

function isSqliteError(e: unknown): e is SqliteError {
  return e instanceof Error && 'errcode' in e && typeof e.errcode === 'number';
}

const primary = (e: SqliteError): number => e.errcode & 0xff;

/** True when the error says that the file is not a sound database. */
export function saysDamaged(e: unknown): boolean {
  return isSqliteError(e) && [CORRUPT, NOTADB].includes(primary(e));
}

/** True when another process holds a lock longer than the busy time-out. */
export function saysBusy(e: unknown): boolean {
  return isSqliteError(e) && [BUSY, LOCKED].includes(primary(e));
}

/** The failure behind an error of SQLite, or undefined for an error that only a bug can cause. */
export function databaseFailure(e: unknown, path: string): Failure | undefined {
  if (!isSqliteError(e)) return undefined;
  const doing = `state database ${path}`;
  switch (e.errcode === SHMSIZE ? FULL : primary(e)) {
    case FULL:
      return failure('ST001', 3, `${doing}: no space left on the disk`, {
        cause: e,
        help: 'free some space, or put the store on a larger disk with VARVE_ROOT, and run the command again',
      });
    case READONLY:
    case CANTOPEN:
      return failure('ST002', 3, `${doing}: cannot be opened for writing`, {
        cause: e,
        help: 'check the owner and the mount options of the store, or set VARVE_ROOT to a directory of your own',
      });
    case IOERR:
      return failure('ST003', 3, `${doing}: the disk reports an input/output error`, { cause: e });
    case CORRUPT:
    case NOTADB:
      return failure('ST020', 3, `${doing}: is damaged`, {
        cause: e,
        help: 'run the command again: the database is moved aside and rebuilt from the store',
      });
    case BUSY:
    case LOCKED:
      return failure('ST021', 3, `${doing}: another process has locked it for too long`, {
        cause: e,
        help: 'look for a stopped varve process, and run the command again',
      });
    default:
      return undefined;
  }
}
