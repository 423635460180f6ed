import { crc32 } from 'node:zlib';
import {
  bytesOfName,
  type Digest,
  digestOfBytes,
  isRecord,
  nameOfBytes,
  parseJson,
} from '../base/index.ts';
import type { FileType } from '../cachekey/index.ts';

/*
 * `entries` of a packed layer (docs/adr/0050). Little endian. Header, 32 bytes: magic, version, number of rows, bytes of
 * names, bytes of extras, CRC-32 of all that follows the header (4 bytes each), bytes of the file `data` (8, a double).
 * Then the columns, each one value a row, in the order of COLUMNS; then the names, one after another; then the extras, a
 * JSON list. Rows stand as a walk meets them: the root first, each directory before what is in it, names in byte order.
 */
const MAGIC = 0x4b415056;
const VERSION = 1;
const HEADER = 32;
const DIGEST = 32;

/** Types of rows by number. `hidden` is a name of the parents that an opaque directory hides: it stands in the tar only. */
const TYPES = [
  'file',
  'dir',
  'symlink',
  'char',
  'block',
  'fifo',
  'socket',
  'whiteout',
  'hidden',
] as const satisfies readonly (FileType | 'whiteout' | 'hidden')[];

/** Type of a row. */
export type RowType = (typeof TYPES)[number];

/** A directory that hides the parents'. */
export const OPAQUE = 1;
/** Equals what is below: no part of the tar by itself. */
export const SAME = 2;
/** The digest column holds the digest of what the data was copied from. */
export const COPIED = 4;
/** That digest is the entry's own as well. */
export const OWN_DIGEST = 8;
/** The data is a file of its own, whose number the offset is. */
export const LARGE = 16;
/** That file has zeros behind the data, up to a multiple of a block. */
export const PADDED = 64;
/** A whiteout of something that is there. */
export const DELETES = 32;

/** What few rows have. */
export interface Extra {
  readonly link?: string | undefined;
  readonly device?: { readonly major: number; readonly minor: number } | undefined;
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

/** One row to write. */
export interface Row {
  readonly name: string;
  readonly parent: number;
  readonly type: RowType;
  readonly flags: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly size: number;
  /** Where the data begins, or the number of its file. */
  readonly offset: number;
  readonly crc: number;
  /** Rows with the same number are hard links to one file; 0: none. */
  readonly group: number;
  readonly digest: Uint8Array | undefined;
  readonly extra: Extra | undefined;
}

/** The rows of a packed layer, read from bytes without making an object of each. */
export class PackIndex {
  readonly count: number;
  readonly dataSize: number;
  readonly offset: Float64Array;
  readonly size: Float64Array;
  readonly mtimeNs: BigInt64Array;
  readonly parent: Uint32Array;
  readonly uid: Uint32Array;
  readonly gid: Uint32Array;
  readonly crc: Uint32Array;
  readonly group: Uint32Array;
  readonly mode: Uint16Array;
  readonly flags: Uint8Array;
  readonly #nameEnd: Uint32Array;
  readonly #extra: Uint32Array;
  readonly #type: Uint8Array;
  readonly #digests: Buffer;
  readonly #names: Buffer;
  readonly #extras: readonly Extra[];

  private constructor(bytes: Uint8Array<ArrayBuffer>, extras: readonly Extra[]) {
    const head = new DataView(bytes.buffer);
    const count = head.getUint32(8, true);
    this.count = count;
    this.dataSize = head.getFloat64(24, true);
    let at = HEADER;
    const take = (width: number): number => {
      at += count * width;
      return at - count * width;
    };
    const { buffer } = bytes;
    this.offset = new Float64Array(buffer, take(8), count);
    this.size = new Float64Array(buffer, take(8), count);
    this.mtimeNs = new BigInt64Array(buffer, take(8), count);
    this.parent = new Uint32Array(buffer, take(4), count);
    this.uid = new Uint32Array(buffer, take(4), count);
    this.gid = new Uint32Array(buffer, take(4), count);
    this.crc = new Uint32Array(buffer, take(4), count);
    this.group = new Uint32Array(buffer, take(4), count);
    this.#nameEnd = new Uint32Array(buffer, take(4), count);
    this.#extra = new Uint32Array(buffer, take(4), count);
    this.mode = new Uint16Array(buffer, take(2), count);
    this.#type = new Uint8Array(buffer, take(1), count);
    this.flags = new Uint8Array(buffer, take(1), count);
    this.#digests = Buffer.from(buffer, take(DIGEST), count * DIGEST);
    this.#names = Buffer.from(buffer, at, head.getUint32(12, true));
    this.#extras = extras;
  }

  /** Undefined for what is damaged or of another version. */
  static decode(read: Uint8Array): PackIndex | undefined {
    const bytes = aligned(read);
    if (bytes.length < HEADER) return undefined;
    const head = new DataView(bytes.buffer);
    const [count, names, extras] = [8, 12, 16].map((at) => head.getUint32(at, true));
    const columns = HEADER + (count ?? 0) * ROW;
    const sound =
      head.getUint32(0, true) === MAGIC &&
      head.getUint32(4, true) === VERSION &&
      columns + (names ?? 0) + (extras ?? 0) === bytes.length &&
      head.getUint32(20, true) === crc32(bytes.subarray(HEADER));
    if (!sound) return undefined;
    const list = decodeExtras(bytes.subarray(columns + (names ?? 0)));
    return list === undefined ? undefined : new PackIndex(bytes, list);
  }

  type(row: number): RowType {
    const type = TYPES[this.#type[row] ?? TYPES.length];
    if (type === undefined) throw new Error(`row ${row} has no known type`);
    return type;
  }

  name(row: number): string {
    return nameOfBytes(this.nameBytes(row));
  }

  nameBytes(row: number): Uint8Array {
    const from = row === 0 ? 0 : (this.#nameEnd[row - 1] ?? 0);
    return this.#names.subarray(from, this.#nameEnd[row]);
  }

  extra(row: number): Extra | undefined {
    const at = this.#extra[row] ?? 0;
    return at === 0 ? undefined : this.#extras[at - 1];
  }

  digest(row: number): Digest {
    return digestOfBytes(this.#digests, row * DIGEST);
  }

  /** Whether a row has a digest of these bytes. */
  hasDigest(row: number, digest: Uint8Array): boolean {
    const at = row * DIGEST;
    return this.#digests.compare(digest, 0, DIGEST, at, at + DIGEST) === 0;
  }

  /** The first four bytes of a digest, for tables. */
  digestWord(row: number): number {
    return this.#digests.readUInt32BE(row * DIGEST);
  }
}

/** The bytes at the beginning of a buffer of their own, where columns are aligned: a copy only where they are not there yet. */
function aligned(read: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = read;
  return buffer instanceof ArrayBuffer && buffer.byteLength === read.length
    ? new Uint8Array(buffer)
    : new Uint8Array(read);
}

/** Widths of the columns: offset, size, mtime, seven of 32 bits, mode, type, flags, digest. */
const ROW = 3 * 8 + 7 * 4 + 2 + 1 + 1 + DIGEST;
/** Bytes of a row before each column. */
const COLUMNS = [0, 8, 16, 24, 28, 32, 36, 40, 44, 48, 52, 54, 55, 56];

/** Writes the rows of an index one by one, so that no object of each is needed. */
export class PackIndexWriter {
  readonly #count: number;
  /** Header and columns. */
  readonly #bytes: Buffer<ArrayBuffer>;
  /** Where the columns begin. */
  readonly #at: readonly number[];
  #names = Buffer.alloc(64 * 1024);
  #nameBytes = 0;
  readonly #extras: Extra[] = [];
  #rows = 0;

  constructor(count: number) {
    this.#count = count;
    this.#bytes = Buffer.from(new ArrayBuffer(HEADER + count * ROW));
    this.#at = COLUMNS.map((before) => HEADER + before * count);
  }

  /** Adds a row and returns its number. */
  add(row: Row): number {
    const [offset = 0, size = 0, mtime = 0, parent = 0, uid = 0, gid = 0, crc = 0] = this.#at;
    const group = this.#at[7] ?? 0;
    const [nameEnd = 0, extra = 0, mode = 0, type = 0, flags = 0, digest = 0] = this.#at.slice(8);
    const bytes = this.#bytes;
    const i = this.#rows++;
    if (i >= this.#count) throw new Error('an index has more rows than were announced');
    this.#addName(row.name);
    if (row.extra !== undefined) this.#extras.push(row.extra);
    bytes.writeDoubleLE(row.offset, offset + i * 8);
    bytes.writeDoubleLE(row.size, size + i * 8);
    bytes.writeBigInt64LE(row.mtimeNs, mtime + i * 8);
    bytes.writeUInt32LE(row.parent, parent + i * 4);
    bytes.writeUInt32LE(row.uid, uid + i * 4);
    bytes.writeUInt32LE(row.gid, gid + i * 4);
    bytes.writeUInt32LE(row.crc, crc + i * 4);
    bytes.writeUInt32LE(row.group, group + i * 4);
    bytes.writeUInt32LE(this.#nameBytes, nameEnd + i * 4);
    bytes.writeUInt32LE(row.extra === undefined ? 0 : this.#extras.length, extra + i * 4);
    bytes.writeUInt16LE(row.mode, mode + i * 2);
    bytes[type + i] = TYPES.indexOf(row.type);
    bytes[flags + i] = row.flags;
    if (row.digest !== undefined) bytes.set(row.digest, digest + i * DIGEST);
    return i;
  }

  /** Bytes of the index. */
  finish(dataSize: number): Uint8Array<ArrayBuffer> {
    if (this.#rows !== this.#count) throw new Error('an index has fewer rows than were announced');
    const extras = Buffer.from(encodeExtras(this.#extras));
    const names = this.#names.subarray(0, this.#nameBytes);
    const bytes = Buffer.from(new ArrayBuffer(this.#bytes.length + names.length + extras.length));
    bytes.set(this.#bytes);
    bytes.set(names, this.#bytes.length);
    bytes.set(extras, this.#bytes.length + names.length);
    const head = [MAGIC, VERSION, this.#count, names.length, extras.length];
    for (const [i, value] of head.entries()) bytes.writeUInt32LE(value, i * 4);
    bytes.writeUInt32LE(crc32(bytes.subarray(HEADER)), 20);
    bytes.writeDoubleLE(dataSize, 24);
    return bytes;
  }

  #addName(name: string): void {
    // A UTF-16 unit is at most three bytes.
    const needed = this.#nameBytes + name.length * 3;
    if (needed > this.#names.length)
      this.#names = Buffer.concat([
        this.#names,
        Buffer.alloc(Math.max(needed, this.#names.length)),
      ]);
    if (name.isWellFormed()) this.#nameBytes += this.#names.write(name, this.#nameBytes, 'utf8');
    else {
      const bytes = bytesOfName(name);
      this.#names.set(bytes, this.#nameBytes);
      this.#nameBytes += bytes.length;
    }
  }
}

function encodeExtras(extras: readonly Extra[]): string {
  return JSON.stringify(
    extras.map(({ link, device, xattrs }) => ({
      link,
      device: device === undefined ? undefined : [device.major, device.minor],
      xattrs:
        xattrs === undefined
          ? undefined
          : [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
    })),
  );
}

function decodeExtras(bytes: Uint8Array): readonly Extra[] | undefined {
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!parsed.ok || !Array.isArray(parsed.value)) return undefined;
  return parsed.value.map((value: unknown) => {
    const { link, device, xattrs } = isRecord(value) ? value : {};
    return {
      ...(typeof link === 'string' ? { link } : {}),
      ...(Array.isArray(device)
        ? { device: { major: Number(device[0]), minor: Number(device[1]) } }
        : {}),
      ...(Array.isArray(xattrs) ? { xattrs: new Map(xattrs.flatMap(pairOf)) } : {}),
    };
  });
}

function pairOf(pair: unknown): [string, Uint8Array][] {
  if (!Array.isArray(pair)) return [];
  return [[String(pair[0]), Buffer.from(String(pair[1]), 'base64')]];
}
