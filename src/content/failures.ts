import { type Failure, FailureError, failure, isErrno } from '../base/index.ts';

/**
 * The failure behind a system error of the store's file system, or undefined for an error that is none of its business.
 * `doing` says what was being done to what: `writing blob sha256:...`.
 */
export function storeFailure(e: unknown, doing: string): Failure | undefined {
  if (e instanceof FailureError) return e.failure;
  if (isErrno(e, 'ENOSPC', 'EDQUOT')) {
    return failure('ST001', 3, `${doing}: no space left on the disk`, {
      cause: e,
      help: 'free some space, or put the store on a larger disk with VARVE_ROOT, and run the command again',
    });
  }
  if (isErrno(e, 'EROFS', 'EACCES', 'EPERM')) {
    return failure('ST002', 3, `${doing}: the store cannot be written (${e.code ?? ''})`, {
      cause: e,
      help: 'check the owner and the mount options of the store, or set VARVE_ROOT to a directory of your own',
    });
  }
  if (isErrno(e, 'EIO')) {
    return failure('ST003', 3, `${doing}: the disk reports an input/output error`, { cause: e });
  }
  return undefined;
}
