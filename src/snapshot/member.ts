import { quoted } from '../archive/index.ts';
import { bytesOfName, diskFailure, FailureError, failure, isErrno } from '../base/index.ts';
import type { FileType } from '../cachekey/index.ts';
import { setXattr } from '../sys/index.ts';
import { OVERLAY_XATTRS } from './disk-entry.ts';

/** A clean absolute path; a name that climbs above the root is refused. */
export function cleanName(name: string, member: string): string {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw refused(`${quoted(name)} leads out of the root`);
  }
  const long = parts.find((part) => bytesOfName(part).length > 255);
  if (long !== undefined)
    throw refused(`a component of ${quoted(member)} is longer than 255 bytes`);
  return `/${parts.join('/')}`;
}

/** Whether a link at `at` climbs above the root by its own text. */
export function climbsOut(at: string, target: string): boolean {
  let depth = target.startsWith('/') ? 0 : at.split('/').length - 2;
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    depth += part === '..' ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

/** Sets attributes of an archive's member, without those of overlayfs and those the file system cannot hold. */
export function setXattrs(
  disk: string,
  xattrs: ReadonlyMap<string, Uint8Array>,
  type: FileType,
): void {
  for (const [name, value] of xattrs) {
    // From an archive these would redirect look-ups inside the mount.
    if (OVERLAY_XATTRS.some((prefix) => name.startsWith(prefix))) continue;
    try {
      setXattr(disk, name, value);
    } catch (e) {
      if (isErrno(e, 'ENOTSUP', 'EOPNOTSUPP')) continue;
      // xattr(7): user attributes exist on files and directories only.
      if (isErrno(e, 'EPERM') && name.startsWith('user.') && type !== 'file' && type !== 'dir')
        continue;
      throw e;
    }
  }
}

/** Carries the reason why a member is refused to where its name is known. */
export function refused(why: string): FailureError {
  return new FailureError(failure('ST301', 3, why));
}

const ENVIRONMENT = [
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EACCES',
  'EPERM',
  'ENAMETOOLONG',
  'EINVAL',
  'EIO',
  'EMLINK',
  'ERANGE',
  'E2BIG',
  'ENOTDIR',
  // symlink(2) with an empty target.
  'ENOENT',
];

/** Names the member in what went wrong with it. */
export function entryFailure(name: string, e: unknown): unknown {
  if (e instanceof FailureError)
    return e.failure.code === 'ST301'
      ? new FailureError({
          ...e.failure,
          message: `layer entry ${quoted(name)}: ${e.failure.message}`,
        })
      : e;
  if (!isErrno(e, ...ENVIRONMENT)) return e;
  const doing = `extracting layer entry ${quoted(name)}`;
  const disk = diskFailure(e);
  if (disk !== undefined)
    return new FailureError({ ...disk, message: disk.message.replace(/^.*(?=: )/s, () => doing) });
  const what = `${doing}: ${e.code ?? ''} (${e.syscall ?? ''})`;
  return new FailureError(failure('ST302', 3, what, { cause: e }));
}
