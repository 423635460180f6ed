import type { Hash } from 'node:crypto';
import { readSync } from 'node:fs';

/** Feeds the data of an open file to a hash. */
export function hashOpenFile(fd: number, hash: Hash, buffer: Uint8Array): void {
  for (;;) {
    const read = readSync(fd, buffer, 0, buffer.length, null);
    if (read === 0) return;
    hash.update(buffer.subarray(0, read));
  }
}
