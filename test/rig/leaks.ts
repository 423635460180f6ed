import { randomInt } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { inflateRawSync, zstdDecompressSync } from 'node:zlib';

/** A place where a secret was found. */
export interface Leak {
  /** The channel that the secret was planted in. */
  readonly channel: string;
  /** Where: a path, a table with its column, or the name of an output. */
  readonly where: string;
  /** `plain`, `hex`, `base64`, or one of these behind a compression. */
  readonly form: string;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const MARK = 18;
/** So much is unpacked of one stream: nothing that is planted lies behind more. */
const LIMIT = { maxOutputLength: 256 << 20 };
const MAX_DEPTH = 4;

/**
 * Makes secrets and finds them again. All of one world begin and end with a mark that nothing else has, so that one search
 * finds each of them, whole, or cut in two; what is between the marks says which one it is. The mark has letters and digits
 * only: it is the same in URLs, and its base64 has no letter in which the two alphabets differ.
 */
export class Leaks {
  readonly #mark: string;
  readonly #needles: Needle[];
  readonly #channels: string[] = [];
  readonly found: Leak[] = [];
  /** Bytes that were looked at, unpacked ones too. */
  bytes = 0;
  /** Files, rows and texts that were looked at. */
  places = 0;

  constructor() {
    this.#mark = Array.from({ length: MARK }, () => LETTERS[randomInt(LETTERS.length)]).join('');
    this.#needles = needlesOf(Buffer.from(this.#mark));
  }

  get channels(): readonly string[] {
    return this.#channels;
  }

  /** A new secret of a channel. */
  secret(channel: string): string {
    if (!this.#channels.includes(channel)) this.#channels.push(channel);
    return `${this.#mark}${this.#channels.indexOf(channel)}x${this.#mark}`;
  }

  /** A secret that cannot have the mark in it: the bytes of a key. */
  also(channel: string, bytes: Uint8Array): void {
    this.#channels.push(channel);
    this.#needles.push(...needlesOf(Buffer.from(bytes), channel));
  }

  /** Looks through a text or bytes, and through what is compressed in them. */
  look(where: string, data: string | Uint8Array): void {
    this.places++;
    this.#look(where, Buffer.from(data), '', 0);
  }

  /** Looks through all files below a directory: their names, links, attributes of names and bytes; databases also by rows. */
  tree(dir: string, shown: string): void {
    for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const where = `${shown}${path.slice(dir.length)}`;
      this.#look(where, Buffer.from(path), '', MAX_DEPTH);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isSymbolicLink() === true)
        this.#look(where, Buffer.from(readlinkSync(path)), '', MAX_DEPTH);
      if (stat?.isFile() !== true) continue;
      this.look(where, readFileSync(path));
      if (path.endsWith('.db')) this.#rows(path, where);
    }
  }

  #rows(path: string, where: string): void {
    using db = new DatabaseSync(path, { readOnly: true });
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    for (const { name } of tables)
      for (const row of db.prepare(`SELECT * FROM "${String(name)}"`).iterate())
        for (const [column, value] of Object.entries(row))
          if (typeof value === 'string' || value instanceof Uint8Array)
            this.look(`${where}:${String(name)}.${column}`, value);
  }

  #look(where: string, data: Buffer, packing: string, depth: number): void {
    this.bytes += data.length;
    for (const { form, bytes, channel } of this.#needles)
      for (let at = data.indexOf(bytes); at !== -1; at = data.indexOf(bytes, at + 1)) {
        const id = channel === undefined ? nameIn(data, at, form, this.#mark) : undefined;
        this.#note(
          where,
          `${packing}${form}`,
          channel ?? this.#channels[Number(id)] ?? `part ${String(id)}`,
        );
      }
    if (depth >= MAX_DEPTH) return;
    for (const { name, magic, unpack } of PACKINGS)
      for (let at = data.indexOf(magic); at !== -1; at = data.indexOf(magic, at + 1)) {
        const inner = unpack(data.subarray(at));
        if (inner !== undefined && inner.length > 0)
          this.#look(where, inner, `${packing}${name} `, depth + 1);
      }
  }

  #note(where: string, form: string, channel: string): void {
    const same = (l: Leak): boolean => l.channel === channel && l.where === where;
    if (!this.found.some(same)) this.found.push({ channel, where, form });
  }
}

interface Needle {
  readonly form: string;
  readonly bytes: Buffer;
  readonly channel?: string;
}

function needlesOf(bytes: Buffer, channel?: string): Needle[] {
  const more = channel === undefined ? {} : { channel };
  const hex = bytes.toString('hex');
  return [
    { form: 'plain', bytes, ...more },
    ...[hex, hex.toUpperCase()].map((h) => ({ form: 'hex', bytes: Buffer.from(h), ...more })),
    ...[0, 1, 2].flatMap((before) =>
      ['base64', 'base64url'].map((alphabet) => ({
        form: 'base64',
        bytes: middleOfBase64(bytes, before, alphabet as 'base64' | 'base64url'),
        ...more,
      })),
    ),
  ].filter(({ bytes: b }, i, all) => all.findIndex((n) => n.bytes.equals(b)) === i);
}

interface Packing {
  readonly name: string;
  readonly magic: Buffer;
  readonly unpack: (data: Buffer) => Buffer | undefined;
}

const attempt = (unpack: () => Buffer): Buffer | undefined => {
  try {
    return unpack();
  } catch {
    // Bytes that look like the beginning of a stream and are none.
    return undefined;
  }
};

/** What is kept may be compressed: gzip (RFC 1952), zstd (RFC 8878), and members of zip archives as deflate writes them. */
const PACKINGS: readonly Packing[] = [
  {
    name: 'gzip',
    magic: Buffer.from([0x1f, 0x8b, 8]),
    // Without its header, what follows the stream does not matter.
    unpack: (data) => attempt(() => inflateRawSync(data.subarray(gzipHeader(data)), LIMIT)),
  },
  {
    name: 'zstd',
    magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
    unpack: (data) => attempt(() => zstdDecompressSync(data, LIMIT)),
  },
  {
    name: 'deflate',
    magic: Buffer.from([0x50, 0x4b, 3, 4]),
    unpack: (data) =>
      attempt(() => {
        const start = 30 + data.readUInt16LE(26) + data.readUInt16LE(28);
        return inflateRawSync(data.subarray(start), LIMIT);
      }),
  },
];

/** Where the data of a stream of gzip begins (RFC 1952, section 2.3.1); optional fields are rare and only those of names. */
function gzipHeader(data: Buffer): number {
  const flags = data[3] ?? 0;
  let at = 10 + ((flags & 4) === 0 ? 0 : 2 + data.readUInt16LE(10));
  for (const flag of [8, 16]) if ((flags & flag) !== 0) at = data.indexOf(0, at) + 1;
  return at + ((flags & 2) === 0 ? 0 : 2);
}

/** The letters of base64 that depend on the mark alone when so many bytes stand before it. */
function middleOfBase64(mark: Buffer, before: number, alphabet: 'base64' | 'base64url'): Buffer {
  const text = Buffer.concat([Buffer.alloc(before), mark])
    .toString(alphabet)
    .replace(/=+$/, '');
  const lead = Math.ceil((before * 4) / 3);
  const whole = Math.floor(((before + mark.length) * 8) / 6);
  return Buffer.from(text.slice(lead, whole));
}

/** Which secret the mark at a place belongs to: the number between two marks. */
function nameIn(data: Buffer, at: number, form: string, mark: string): string {
  const span = 2 * mark.length + 8;
  if (form === 'plain')
    return numberIn(data.toString('latin1', Math.max(0, at - 8), at + span), mark);
  const per = form === 'hex' ? 2 : 4 / 3;
  const around = data.toString('latin1', Math.max(0, at - 100), at + Math.ceil(span * per) + 4);
  for (let shift = 0; shift < 104; shift++) {
    const decoded = Buffer.from(around.slice(shift), form === 'hex' ? 'hex' : 'base64');
    const found = numberIn(decoded.toString('latin1'), mark);
    if (found !== '') return found;
  }
  return '?';
}

/** `MARK7xMARK` is secret 7; of one that was cut one of its marks is left. */
function numberIn(text: string, mark: string): string {
  const match = new RegExp(`${mark}(\\d+)x|(\\d+)x${mark}`).exec(text);
  return match?.[1] ?? match?.[2] ?? '';
}
