import { closeSync, constants, openSync, readSync } from 'node:fs';
import { fsPath } from '../base/index.ts';

const CHUNK = 1024 * 1024;
const SMALL = 64 * 1024;

/** The data of a regular file on disk, never through a symbolic link. */
export async function* readFile(disk: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const fd = openSync(fsPath(disk), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let size = SMALL; ; size = CHUNK) {
      signal.throwIfAborted();
      const buffer = new Uint8Array(size);
      const length = readSync(fd, buffer);
      if (length === 0) return;
      yield buffer.subarray(0, length);
      // Synchronous reads are several times faster than the thread pool's; between them others get their turn.
      await Promise.resolve();
    }
  } finally {
    closeSync(fd);
  }
}
