import { type Hash, hash } from 'node:crypto';
import { readSync } from 'node:fs';

/** Feeds the data of an open file to a hash. */
export function hashOpenFile(fd: number, sum: Hash, buffer: Uint8Array): void {
  for (;;) {
    const read = readSync(fd, buffer, 0, buffer.length, null);
    if (read === 0) return;
    sum.update(buffer.subarray(0, read));
    // A regular file gives less than was asked for at its end only.
    if (read < buffer.length) return;
  }
}

/** The data of a small file in a buffer, and the SHA-256 of a header and that data. */
export interface HashedFile {
  readonly hex: string;
  readonly data: Uint8Array;
}

/** Reads a file of `size` bytes in one call; undefined when it has another size. The buffer holds header and data. */
export function readHashed(
  fd: number,
  file: { readonly header: Uint8Array; readonly size: number },
  buffer: Uint8Array,
): HashedFile | undefined {
  const { header, size } = file;
  const start = header.length;
  buffer.set(header);
  // One byte more than the file has: a short read then is the end, without another call.
  const read = readSync(fd, buffer, start, size + 1, 0);
  if (read !== size) return undefined;
  const all = buffer.subarray(0, start + size);
  return { hex: hash('sha256', all, 'hex'), data: all.subarray(start) };
}
