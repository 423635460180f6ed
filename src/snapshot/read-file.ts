import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { fsPath } from '../base/index.ts';

const CHUNK = 1024 * 1024;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW;

/** The data of a regular file on disk, never through a symbolic link; with `limit` no more than its first bytes. */
export async function* readFile(
  disk: string,
  signal: AbortSignal,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array> {
  const fd = openSync(fsPath(disk), FLAGS);
  let left = limit;
  try {
    // One byte more than the file has: a short read then is the end, without another call.
    const size = Math.min(CHUNK, fstatSync(fd).size + 1);
    for (;;) {
      signal.throwIfAborted();
      const buffer = Buffer.allocUnsafe(size);
      const length = readSync(fd, buffer);
      const wanted = Math.min(length, left);
      if (wanted > 0) yield buffer.subarray(0, wanted);
      left -= wanted;
      if (length < size || left === 0) return;
      // Synchronous reads are several times faster than the thread pool's; between them others get their turn.
      await Promise.resolve();
    }
  } finally {
    closeSync(fd);
  }
}

/** All data of a small regular file. */
export function readSmallFile(disk: string, size: number): Uint8Array {
  const fd = openSync(fsPath(disk), FLAGS);
  try {
    const buffer = Buffer.allocUnsafe(size + 1);
    const length = readSync(fd, buffer);
    if (length !== size) throw new Error(`${disk} has ${length} bytes, its metadata says ${size}`);
    return buffer.subarray(0, size);
  } finally {
    closeSync(fd);
  }
}
