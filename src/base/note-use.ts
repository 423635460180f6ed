import { chmod, stat } from 'node:fs/promises';
import { isErrno } from './errno.ts';

/**
 * Marks a file as used now: its change time (`ctime`, by the kernel's clock) becomes the present, its content and its own
 * time stay. Trimming spares what was written or used since the oldest running build began. No error where the file is
 * gone, somebody else's or on a read-only disk: whoever reads it sees that.
 */
export async function noteUse(path: string): Promise<void> {
  try {
    const { mode } = await stat(path);
    await chmod(path, mode & 0o7777);
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) throw e;
  }
}
