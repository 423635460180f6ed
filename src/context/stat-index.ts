import { crc32 } from 'node:zlib';
import { type Digest, digestOfHex, hexOf } from '../base/index.ts';
import { IDENTITY_WORDS, type Identities } from './identity.ts';

/*
 * Layout (docs/adr/0003, 0051): 16 bytes of header (magic, version, count, CRC-32 of the records, each 4 bytes little
 * endian), then records of 80 bytes: dev, ino, size, mode, mtime, ctime (8 bytes little endian each), digest (32 bytes).
 * The highest bit of the mode says that the file has no extended attributes.
 */
const MAGIC = 0x58495356;
const VERSION = 2;
const HEADER = 16;
const RECORD = 80;
/** Numbers of 32 bits of a record, and of them those of the identity. */
const HALVES = RECORD / 4;
const ID_HALVES = IDENTITY_WORDS * 2;
const INO = 2;
const MODE_HIGH = 7;
const PLAIN = 0x8000_0000;
const DIGEST = IDENTITY_WORDS * 8;

/** What is known of a file. */
export interface KnownFile {
  readonly digest: Digest;
  /** It has no extended attributes. */
  readonly plain: boolean;
}

/** Whether a stored index is whole and of this version; a damaged one is only an empty one. */
export function isSoundStatIndex(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER) return false;
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const records = all.subarray(HEADER);
  return (
    all.readUInt32LE(0) === MAGIC &&
    all.readUInt32LE(4) === VERSION &&
    all.readUInt32LE(8) * RECORD === records.length &&
    all.readUInt32LE(12) === crc32(records)
  );
}

/** Digests of files by identity, so that a file is hashed once in its life. A damaged index is an empty one. */
export class StatIndex {
  readonly #records: Buffer;
  readonly #halves: Uint32Array;
  readonly #slots: Int32Array;
  readonly #used: Uint8Array;
  #added = Buffer.alloc(0);
  #addedCount = 0;

  private constructor(records: Buffer) {
    // A copy where 32-bit access would not be aligned.
    this.#records =
      records.byteOffset % 4 === 0 ? records : Buffer.from(new Uint8Array(records).buffer);
    const count = this.#records.length / RECORD;
    const { buffer, byteOffset, length } = this.#records;
    this.#halves = new Uint32Array(buffer, byteOffset, length / 4);
    this.#used = new Uint8Array(count);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(8, count * 2)))).fill(-1);
    for (let i = 0; i < count; i++)
      this.#slots[this.#freeSlot(this.#halves[i * HALVES + INO] ?? 0)] = i;
  }

  /** Reads an index; `undefined`, a foreign version or damage give an empty one. */
  static decode(bytes: Uint8Array | undefined): StatIndex {
    if (bytes === undefined || bytes.length < HEADER) return new StatIndex(Buffer.alloc(0));
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const records = all.subarray(HEADER);
    const sound = isSoundStatIndex(bytes);
    return new StatIndex(sound ? records : Buffer.alloc(0));
  }

  /** What is known of a file in this state. */
  find(identities: Identities, row: number): KnownFile | undefined {
    const id = identities.halves;
    const from = row * ID_HALVES;
    for (
      let slot = this.#slotOf(id[from + INO] ?? 0);
      ;
      slot = (slot + 1) & (this.#slots.length - 1)
    ) {
      const i = this.#slots[slot] ?? -1;
      if (i === -1) return undefined;
      if (!this.#matches(i * HALVES, id, from)) continue;
      this.#used[i] = 1;
      const at = i * RECORD + DIGEST;
      return {
        digest: digestOfHex(this.#records.toString('hex', at, at + 32)),
        plain: ((this.#halves[i * HALVES + MODE_HIGH] ?? 0) & PLAIN) !== 0,
      };
    }
  }

  add(identities: Identities, row: number, known: KnownFile): void {
    const at = this.#addedCount++ * RECORD;
    if (at + RECORD > this.#added.length) {
      const more = Buffer.alloc(Math.max(RECORD * 256, this.#added.length * 2));
      more.set(this.#added);
      this.#added = more;
    }
    this.#added.set(identities.bytes(row), at);
    if (known.plain) this.#added[at + MODE_HIGH * 4 + 3] = 0x80;
    this.#added.write(hexOf(known.digest), at + DIGEST, 'hex');
  }

  /** The index to write, or undefined when nothing was added. Records not asked for are dropped once they are the most. */
  encode(): Uint8Array | undefined {
    if (this.#addedCount === 0) return undefined;
    const count = this.#used.length;
    const used = this.#used.reduce((sum, flag) => sum + flag, 0);
    const keepAll = count - used <= 3 * (used + this.#addedCount) + 1000;
    const kept = keepAll ? [this.#records] : this.#usedRecords();
    const added = this.#added.subarray(0, this.#addedCount * RECORD);
    const out = Buffer.concat([Buffer.alloc(HEADER), ...kept, added]);
    out.writeUInt32LE(MAGIC, 0);
    out.writeUInt32LE(VERSION, 4);
    out.writeUInt32LE((out.length - HEADER) / RECORD, 8);
    out.writeUInt32LE(crc32(out.subarray(HEADER)), 12);
    return out;
  }

  #usedRecords(): Buffer[] {
    const kept: Buffer[] = [];
    for (let i = 0; i < this.#used.length; i++)
      if (this.#used[i] === 1) kept.push(this.#records.subarray(i * RECORD, (i + 1) * RECORD));
    return kept;
  }

  #matches(record: number, id: Uint32Array, from: number): boolean {
    for (let i = 0; i < ID_HALVES; i++) {
      const stored = this.#halves[record + i] ?? 0;
      const wanted = id[from + i] ?? 0;
      if (i === MODE_HIGH ? (stored & ~PLAIN) >>> 0 !== wanted : stored !== wanted) return false;
    }
    return true;
  }

  #slotOf(ino: number): number {
    return (Math.imul(ino, 0x9e3779b1) >>> 7) & (this.#slots.length - 1);
  }

  #freeSlot(ino: number): number {
    let slot = this.#slotOf(ino);
    while (this.#slots[slot] !== -1) slot = (slot + 1) & (this.#slots.length - 1);
    return slot;
  }
}

/** Clock ticks of a kernel are at most 10 ms apart (CONFIG_HZ=100); file systems with whole seconds have two of them. */
const TICK_NS = 20_000_000n;
const COARSE_NS = 2_000_000_000n;

/**
 * Whether a file that was read from `readAtNs` on can be told from a later version by its identity: it had not been
 * changed within the granularity of the file system's clock before, and its times do not lie in the future.
 */
export function isSettled(
  times: { readonly mtimeNs: bigint; readonly ctimeNs: bigint },
  readAtNs: bigint,
): boolean {
  const { mtimeNs, ctimeNs } = times;
  const last = ctimeNs > mtimeNs ? ctimeNs : mtimeNs;
  const coarse = ctimeNs % 1_000_000_000n === 0n;
  return last + (coarse ? COARSE_NS : TICK_NS) < readAtNs;
}
