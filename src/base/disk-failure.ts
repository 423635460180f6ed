import { type Failure, failure } from './failure.ts';

/** SQLite's result codes (sqlite.org/rescode.html): `SQLITE_IOERR`, `SQLITE_FULL`, `SQLITE_IOERR_SHMSIZE`. */
const [SQLITE_IOERR, SQLITE_FULL, SQLITE_IOERR_SHMSIZE] = [10, 13, 10 | (19 << 8)];

/** No space, no right to write, an input/output error: what every adapter says of this machine's disk. */
const DISK_CODES: readonly string[] = ['ST001', 'ST002', 'ST003'];

/** Whether a failure is one of this machine's disk: then nothing is known of where the bytes were to come from. */
export const isDiskFailure = ({ code }: Pick<Failure, 'code'>): boolean =>
  DISK_CODES.includes(code);

/**
 * The failure behind an error of a disk that is full or broken, wherever in a program it was met: as a system error, as one
 * of SQLite, as a cause, or suppressed by another. Undefined for all other errors.
 */
export function diskFailure(e: unknown): Failure | undefined {
  if (!(e instanceof Error)) return undefined;
  const kind = kindOf(e);
  if (kind === undefined) {
    return e instanceof SuppressedError
      ? (diskFailure(e.suppressed) ?? diskFailure(e.error))
      : diskFailure(e.cause);
  }
  const path = text(e, 'dest') ?? text(e, 'path');
  const doing = path === undefined ? 'writing' : `writing ${path}`;
  return kind === 'full'
    ? failure('ST001', 3, `${doing}: no space left on the disk`, {
        cause: e,
        help: 'free some space, or put the store on a larger disk with VARVE_ROOT, and run the command again',
      })
    : failure('ST003', 3, `${doing}: the disk reports an input/output error`, { cause: e });
}

function kindOf(e: Error): 'full' | 'broken' | undefined {
  const code = text(e, 'code');
  const errcode = 'errcode' in e && typeof e.errcode === 'number' ? e.errcode : 0;
  const primary = errcode & 0xff;
  if (code === 'ENOSPC' || code === 'EDQUOT' || primary === SQLITE_FULL) return 'full';
  if (errcode === SQLITE_IOERR_SHMSIZE) return 'full';
  return code === 'EIO' || primary === SQLITE_IOERR ? 'broken' : undefined;
}

function text(e: Error, key: 'code' | 'path' | 'dest'): string | undefined {
  const value: unknown = Object.getOwnPropertyDescriptor(e, key)?.value;
  return typeof value === 'string' ? value : undefined;
}
