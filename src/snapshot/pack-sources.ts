import type { Digest } from '../base/index.ts';
import { hexOf } from '../base/index.ts';
import type { FileEntry } from '../cachekey/index.ts';

/** Bytes of a digest. */
export const DIGEST_BYTES = 32;

/** Owner and mode: numbers of 32 bits a row. */
const NUMBERS = 3;

type Header = Pick<FileEntry, 'mode' | 'uid' | 'gid' | 'xattrs'>;

/** What the data of many files was copied from, by row: the digest, and what is hashed before the data; no object a file. */
export class PackSources {
  #digests = Buffer.alloc(DIGEST_BYTES * 256);
  #numbers = new Uint32Array(NUMBERS * 256);
  readonly #xattrs = new Map<number, FileEntry['xattrs']>();
  #count = 0;

  /** Adds a source and returns its row. */
  add(digest: Digest, entry: Header): number {
    const row = this.#count++;
    if (row * DIGEST_BYTES === this.#digests.length) this.#grow();
    this.#digests.write(hexOf(digest), row * DIGEST_BYTES, 'hex');
    this.#numbers[row * NUMBERS] = entry.mode;
    this.#numbers[row * NUMBERS + 1] = entry.uid;
    this.#numbers[row * NUMBERS + 2] = entry.gid;
    if (entry.xattrs.size > 0) this.#xattrs.set(row, entry.xattrs);
    return row;
  }

  /** The bytes of a digest; valid until the next `add`. */
  digest(row: number): Uint8Array {
    return this.#digests.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  }

  /** Whether what is hashed before the data is the same for a copy as for its source (cachekey/entry-header). */
  hasHeaderOf(row: number, copy: Header): boolean {
    const theirs = this.#xattrs.get(row);
    return (
      copy.mode === this.#numbers[row * NUMBERS] &&
      copy.uid === this.#numbers[row * NUMBERS + 1] &&
      copy.gid === this.#numbers[row * NUMBERS + 2] &&
      (copy.xattrs === theirs || (copy.xattrs.size === 0 && theirs === undefined))
    );
  }

  #grow(): void {
    this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)]);
    const more = new Uint32Array(this.#numbers.length * 2);
    more.set(this.#numbers);
    this.#numbers = more;
  }
}
