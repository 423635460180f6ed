import { crc32 } from 'node:zlib';
import { type Digest, digestOfHex, hexOf } from '../base/index.ts';
import type { FileIdentity } from './entry.ts';

/*
 * Layout (docs/adr/0003): 16 bytes of header (magic, version, count, CRC-32 of the records, each 4 bytes little endian),
 * then records of 80 bytes: dev, ino, size, mode, mtime, ctime (8 bytes little endian each), digest (32 bytes).
 */
const MAGIC = 0x58495356;
const VERSION = 1;
const HEADER = 16;
const RECORD = 80;
const WORDS = 6;

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
  readonly #bytes: Buffer;
  readonly #words: BigUint64Array;
  readonly #slots: Int32Array;
  readonly #used: Uint8Array;
  readonly #added: { readonly identity: FileIdentity; readonly digest: Digest }[] = [];

  private constructor(records: Buffer) {
    // A copy that is aligned for 64-bit access.
    this.#bytes = Buffer.from(new Uint8Array(records).buffer);
    const count = this.#bytes.length / RECORD;
    this.#words = new BigUint64Array(this.#bytes.buffer);
    this.#used = new Uint8Array(count);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(8, count * 2)))).fill(-1);
    for (let i = 0; i < count; i++) this.#slots[this.#freeSlot(this.#word(i, 1))] = i;
  }

  /** Reads an index; `undefined`, a foreign version or damage give an empty one. */
  static decode(bytes: Uint8Array | undefined): StatIndex {
    if (bytes === undefined || bytes.length < HEADER) return new StatIndex(Buffer.alloc(0));
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const records = all.subarray(HEADER);
    const sound = isSoundStatIndex(bytes);
    return new StatIndex(sound ? records : Buffer.alloc(0));
  }

  /** The digest of a file in this state, when known. */
  find(identity: FileIdentity): Digest | undefined {
    for (let slot = this.#slotOf(identity.ino); ; slot = (slot + 1) & (this.#slots.length - 1)) {
      const i = this.#slots[slot] ?? -1;
      if (i === -1) return undefined;
      if (this.#matches(i, identity)) {
        this.#used[i] = 1;
        const at = i * RECORD + WORDS * 8;
        return digestOfHex(this.#bytes.toString('hex', at, at + 32));
      }
    }
  }

  add(identity: FileIdentity, digest: Digest): void {
    this.#added.push({ identity, digest });
  }

  /** The index to write, or undefined when nothing was added. Records not asked for are dropped once they are the most. */
  encode(): Uint8Array | undefined {
    if (this.#added.length === 0) return undefined;
    const count = this.#used.length;
    const used = this.#used.reduce((sum, flag) => sum + flag, 0);
    const keepAll = count - used <= 3 * (used + this.#added.length) + 1000;
    const kept: Buffer[] = [Buffer.alloc(HEADER)];
    for (let i = 0; i < count; i++)
      if (keepAll || this.#used[i] === 1)
        kept.push(this.#bytes.subarray(i * RECORD, (i + 1) * RECORD));
    for (const { identity, digest } of this.#added) kept.push(encodeRecord(identity, digest));
    const out = Buffer.concat(kept);
    out.writeUInt32LE(MAGIC, 0);
    out.writeUInt32LE(VERSION, 4);
    out.writeUInt32LE((out.length - HEADER) / RECORD, 8);
    out.writeUInt32LE(crc32(out.subarray(HEADER)), 12);
    return out;
  }

  #matches(i: number, id: FileIdentity): boolean {
    return (
      this.#word(i, 1) === id.ino &&
      this.#word(i, 5) === BigInt.asUintN(64, id.ctimeNs) &&
      this.#word(i, 4) === BigInt.asUintN(64, id.mtimeNs) &&
      this.#word(i, 2) === id.size &&
      this.#word(i, 3) === id.mode &&
      this.#word(i, 0) === id.dev
    );
  }

  #word(record: number, word: number): bigint {
    return this.#words[record * (RECORD / 8) + word] ?? 0n;
  }

  #slotOf(ino: bigint): number {
    const low = Number(ino & 0xffffffffn);
    return (Math.imul(low, 0x9e3779b1) >>> 7) & (this.#slots.length - 1);
  }

  #freeSlot(ino: bigint): number {
    let slot = this.#slotOf(ino);
    while (this.#slots[slot] !== -1) slot = (slot + 1) & (this.#slots.length - 1);
    return slot;
  }
}

function encodeRecord(id: FileIdentity, digest: Digest): Buffer {
  const record = Buffer.alloc(RECORD);
  const words = [id.dev, id.ino, id.size, id.mode, id.mtimeNs, id.ctimeNs];
  for (const [i, word] of words.entries()) record.writeBigUInt64LE(BigInt.asUintN(64, word), i * 8);
  record.write(hexOf(digest), WORDS * 8, 'hex');
  return record;
}

/** Clock ticks of a kernel are at most 10 ms apart (CONFIG_HZ=100); file systems with whole seconds have two of them. */
const TICK_NS = 20_000_000n;
const COARSE_NS = 2_000_000_000n;

/**
 * Whether a file that was read from `readAtNs` on can be told from a later version by its identity: it had not been
 * changed within the granularity of the file system's clock before, and its times do not lie in the future.
 */
export function isSettled(identity: FileIdentity, readAtNs: bigint): boolean {
  const last = identity.ctimeNs > identity.mtimeNs ? identity.ctimeNs : identity.mtimeNs;
  const coarse = identity.ctimeNs % 1_000_000_000n === 0n;
  return last + (coarse ? COARSE_NS : TICK_NS) < readAtNs;
}
