import { FailureError, failure, isErrno } from '../base/index.ts';

/** Texts of system errors as Go and the C library write them, so that messages read as BuildKit's. */
const TEXTS = {
  ENOENT: 'no such file or directory',
  EEXIST: 'file exists',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  ENAMETOOLONG: 'file name too long',
  ELOOP: 'too many levels of symbolic links',
} as const;

/** What went wrong with a path. */
export type FileErrno = keyof typeof TEXTS;

/** A file operation that a Dockerfile asked for cannot be done: `lstat /x: no such file or directory`. */
export function fileError(call: string, path: string, errno: FileErrno): FailureError {
  return fileFailure(`${call} ${path}: ${TEXTS[errno]}`);
}

/** A file operation that cannot be done, in BuildKit's words. */
export function fileFailure(message: string): FailureError {
  return new FailureError(failure('SB101', 1, message));
}

/** What the file system refuses because of a name, a kind, an owner or an attribute that was asked for. */
const REFUSALS = [
  'EPERM',
  'EINVAL',
  'ENAMETOOLONG',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ENOENT',
  'ELOOP',
  'EMLINK',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ERANGE',
  'E2BIG',
  'EFBIG',
  'ENOTEMPTY',
] as const;

/** A refusal of the file system as the failure of what was being done; other errors stay what they are. */
export function refusalOf(doing: string, e: unknown): unknown {
  if (!isErrno(e, ...REFUSALS)) return e;
  return fileFailure(`${doing}: ${e.syscall ?? 'writing'}: ${e.code ?? ''}`);
}
