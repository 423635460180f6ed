import { FailureError, failure } from '../base/index.ts';

/** Texts of system errors as Go and the C library write them, so that messages read as BuildKit's. */
const TEXTS = {
  ENOENT: 'no such file or directory',
  EEXIST: 'file exists',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
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
