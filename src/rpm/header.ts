import { err, failure, nameOfBytes, ok, type Result } from '../base/index.ts';

/** Tags of headers that are read here (rpm's `rpmtag.h`). */
export const TAG = {
  openpgp: 278,
  dsaHeader: 267,
  rsaHeader: 268,
  sha256Header: 273,
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  summary: 1004,
  buildTime: 1006,
  installTime: 1008,
  vendor: 1011,
  license: 1014,
  url: 1020,
  arch: 1022,
  fileSizes: 1028,
  fileModes: 1030,
  fileRdevs: 1033,
  fileMtimes: 1034,
  sourceRpm: 1044,
  provideName: 1047,
  requireName: 1049,
  fileInodes: 1096,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  payloadFormat: 1124,
  payloadCompressor: 1125,
  installTid: 1128,
  longFileSizes: 5008,
  payloadDigest: 5092,
  payloadDigestAlgo: 5093,
} as const;

/** Bytes before the index of a header: magic number, reserved bytes, two counts. */
export const INTRO = 16;
const ENTRY = 16;
const MAGIC = [0x8e, 0xad, 0xe8, 0x01];
/** More than any package has files or dependencies. */
const MAX_TEXTS = 4_000_000;
/** rpm's own limits of a header (`HEADER_TAGS_MAX`, `HEADER_DATA_MAX`). */
const MAX_ENTRIES = 0xffff;
const MAX_DATA = 0x0fffffff;

interface Entry {
  readonly type: number;
  readonly offset: number;
  readonly count: number;
}

/** A header of a package: values by tag (rpm's file format, "Header structure"). */
export class RpmHeader {
  readonly #entries: ReadonlyMap<number, Entry>;
  readonly #data: Buffer;

  private constructor(entries: ReadonlyMap<number, Entry>, data: Buffer) {
    this.#entries = entries;
    this.#data = data;
  }

  /** How many bytes a header has that begins like this; undefined when it is none. */
  static sizeOf(intro: Buffer): number | undefined {
    if (intro.length < INTRO || MAGIC.some((byte, i) => intro[i] !== byte)) return undefined;
    const [count, size] = [intro.readUInt32BE(8), intro.readUInt32BE(12)];
    if (count > MAX_ENTRIES || size > MAX_DATA) return undefined;
    return INTRO + count * ENTRY + size;
  }

  /** Reads a whole header. PK044: it is damaged. */
  static parse(bytes: Buffer, name: string): Result<RpmHeader> {
    if (RpmHeader.sizeOf(bytes) !== bytes.length)
      return err(failure('PK044', 3, `${name}: a header is damaged`));
    const count = bytes.readUInt32BE(8);
    const data = bytes.subarray(INTRO + count * ENTRY);
    const entries = new Map<number, Entry>();
    for (let i = 0; i < count; i++) {
      const at = INTRO + i * ENTRY;
      const [type, offset] = [bytes.readUInt32BE(at + 4), bytes.readInt32BE(at + 8)];
      if (offset < 0 || offset > data.length)
        return err(failure('PK044', 3, `${name}: a header points outside itself`));
      entries.set(bytes.readUInt32BE(at), { type, offset, count: bytes.readUInt32BE(at + 12) });
    }
    return ok(new RpmHeader(entries, data));
  }

  /** Reads a header as rpm's database keeps it: without its magic number. PK044: it is damaged. */
  static stored(bytes: Buffer, name: string): Result<RpmHeader> {
    return RpmHeader.parse(Buffer.concat([Buffer.from(MAGIC), Buffer.alloc(4), bytes]), name);
  }

  /**
   * The bytes of a header without its magic number, every number of the given tags being `value` where it has 32 bits; others,
   * and bytes that are no header, stay.
   */
  static withNumbers(bytes: Buffer, tags: readonly number[], value: number): Buffer {
    const changed = Buffer.from(bytes);
    const count = bytes.length < 8 ? 0 : bytes.readUInt32BE(0);
    const data = 8 + count * ENTRY;
    for (let at = 8; at < data && data <= bytes.length; at += ENTRY) {
      const [tag, type] = [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
      if (!tags.includes(tag) || type !== INT32) continue;
      const first = data + bytes.readUInt32BE(at + 8);
      const end = first + bytes.readUInt32BE(at + 12) * 4;
      for (let number = first; number < end && end <= bytes.length; number += 4)
        changed.writeUInt32BE(value, number);
    }
    return changed;
  }

  /** The first text of a tag. */
  text(tag: number): string | undefined {
    return this.texts(tag)[0];
  }

  /** All texts of a tag; none when it is absent or of another type. */
  texts(tag: number): readonly string[] {
    const entry = this.#entries.get(tag);
    if (entry === undefined || ![6, 8, 9].includes(entry.type) || entry.count > MAX_TEXTS)
      return [];
    const texts: string[] = [];
    let at = entry.offset;
    while (texts.length < entry.count) {
      const end = this.#data.indexOf(0, at);
      if (end < 0) break;
      texts.push(nameOfBytes(this.#data.subarray(at, end)));
      at = end + 1;
    }
    return texts;
  }

  /** The first number of a tag. */
  number(tag: number): number | undefined {
    return this.numbers(tag)[0];
  }

  /** All numbers of a tag (of 8, 16, 32 or 64 bits). */
  numbers(tag: number): readonly number[] {
    const entry = this.#entries.get(tag);
    const width = entry === undefined ? undefined : WIDTHS[entry.type];
    if (entry === undefined || width === undefined) return [];
    const { offset, count } = entry;
    if (offset + count * width > this.#data.length) return [];
    return Array.from({ length: count }, (_, i) => {
      const at = offset + i * width;
      return width === 8
        ? Number(this.#data.readBigUInt64BE(at))
        : this.#data.readUIntBE(at, width);
    });
  }

  /** The bytes of a binary tag. */
  bytes(tag: number): Uint8Array | undefined {
    const entry = this.#entries.get(tag);
    if (entry?.type !== 7 || entry.offset + entry.count > this.#data.length) return undefined;
    return this.#data.subarray(entry.offset, entry.offset + entry.count);
  }
}

const INT32 = 4;
/** Bytes of a number by type: char, int8, int16, int32, int64. */
const WIDTHS: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8 };
