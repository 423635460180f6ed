/** What the kernel said of a file; equal identities mean equal content unless the clock was too coarse. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mode: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** Numbers of 64 bits that make an identity, in the order of the stat index: dev, ino, size, mode, mtime, ctime. */
export const IDENTITY_WORDS = 6;

/** Identities of many files, 48 bytes each and no object. */
export class Identities {
  #words = new BigInt64Array(IDENTITY_WORDS * 1024);
  #halves = new Uint32Array(this.#words.buffer);
  #count = 0;

  /** Adds one and returns its row. */
  add(identity: FileIdentity): number {
    if ((this.#count + 1) * IDENTITY_WORDS > this.#words.length) {
      const more = new BigInt64Array(this.#words.length * 2);
      more.set(this.#words);
      this.#words = more;
      this.#halves = new Uint32Array(more.buffer);
    }
    const row = this.#count++;
    const at = row * IDENTITY_WORDS;
    this.#words[at] = identity.dev;
    this.#words[at + 1] = identity.ino;
    this.#words[at + 2] = identity.size;
    this.#words[at + 3] = identity.mode;
    this.#words[at + 4] = identity.mtimeNs;
    this.#words[at + 5] = identity.ctimeNs;
    return row;
  }

  /** Whether a file is the one of a row, in the same state. */
  isSame(row: number, now: FileIdentity): boolean {
    const at = row * IDENTITY_WORDS;
    return (
      this.#words[at + 1] === now.ino &&
      this.#words[at + 5] === now.ctimeNs &&
      this.#words[at + 4] === now.mtimeNs &&
      this.#words[at + 2] === now.size &&
      this.#words[at + 3] === now.mode &&
      this.#words[at] === now.dev
    );
  }

  /** The bytes of a row, little endian on every machine Node runs on; valid until the next `add`. */
  bytes(row: number): Uint8Array {
    const width = IDENTITY_WORDS * 8;
    return new Uint8Array(this.#words.buffer, row * width, width);
  }

  /** All rows as numbers of 32 bits, twelve a row; valid until the next `add`. */
  get halves(): Uint32Array {
    return this.#halves;
  }

  mtimeNs(row: number): bigint {
    return this.#words[row * IDENTITY_WORDS + 4] ?? 0n;
  }

  ctimeNs(row: number): bigint {
    return this.#words[row * IDENTITY_WORDS + 5] ?? 0n;
  }
}

/** The identity of a stat result. */
export function identityOf(stat: FileIdentity): FileIdentity {
  const { dev, ino, size, mode, mtimeNs, ctimeNs } = stat;
  return { dev, ino, size, mode, mtimeNs, ctimeNs };
}
