/** True for a Node system error with this code (`ENOENT`, `EEXIST`, `ENOSPC`, ...). */
export function isErrno(e: unknown, ...codes: readonly string[]): e is NodeJS.ErrnoException {
  return e instanceof Error && 'code' in e && typeof e.code === 'string' && codes.includes(e.code);
}
