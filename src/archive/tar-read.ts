import { err, FailureError, failure, nameOfBytes, ok, type Result } from '../base/index.ts';
import { ByteQueue } from './byte-queue.ts';
import { BLOCK, paddingOf, type TarEntry, type TarType, XATTR_PREFIX } from './tar-entry.ts';
import { isZero, parseBlock, parsePax, parsePaxTime, type RawHeader } from './tar-fields.ts';

const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
};

/** The most an extended header or a long name may hold. */
const SPECIAL_LIMIT = 1024 * 1024;
/** The kernel's limit of ids: the highest means "unchanged" in chown(2). */
const ID_LIMIT = 2 ** 32 - 1;

/** What extended headers said of the member that follows. */
interface Extension {
  readonly records: ReadonlyMap<string, Uint8Array>;
  readonly longName?: Uint8Array;
  readonly longLink?: Uint8Array;
}

const NONE: Extension = { records: new Map() };

/**
 * Reads a tar archive from a stream: V7, ustar, PAX (POSIX.1-2001) with extended attributes, GNU long names and base-256
 * numbers, star. Global PAX headers are passed over, as containerd does. What is malformed is a failure that names the
 * member; sparse members are refused.
 */
export class TarReader {
  readonly #queue: ByteQueue;
  #left = 0;
  #padding = 0;
  #last = '';

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#queue = new ByteQueue(source);
  }

  /** The next member, undefined at the end. Data of the member before that was not read is passed over. */
  async next(): Promise<Result<TarEntry | undefined>> {
    try {
      return ok(await this.#next());
    } catch (e) {
      if (e instanceof FailureError) return err(e.failure);
      throw e;
    }
  }

  /** Where the data of the member begins in the stream, as long as none of it was read. */
  get dataOffset(): number {
    return this.#queue.offset;
  }

  /** All data of the member at once if it is at hand without waiting (small members usually are). */
  dataNow(): Uint8Array | undefined {
    const data = this.#queue.takeNow(this.#left);
    if (data !== undefined) this.#left = 0;
    return data;
  }

  /** The data of the member; throws a `FailureError` when the archive ends before it. */
  async *data(): AsyncGenerator<Uint8Array> {
    while (this.#left > 0) {
      const part = await this.#queue.takeSome(this.#left);
      if (part === undefined) throw this.#broken('the archive ends inside its data');
      this.#left -= part.length;
      yield part;
    }
  }

  /** Reads the rest of the stream behind the end of the archive; returns how many bytes there were. */
  async drain(): Promise<number> {
    return this.#queue.skip(Number.POSITIVE_INFINITY);
  }

  /** Tells the source that nothing more is wanted. */
  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #next(): Promise<TarEntry | undefined> {
    await this.#skip(this.#left + this.#padding);
    this.#left = 0;
    this.#padding = 0;
    let extension = NONE;
    for (;;) {
      const header = await this.#header();
      if (header === undefined) {
        if (extension !== NONE) throw this.#broken('an extended header stands before the end');
        return undefined;
      }
      switch (header.flag) {
        case 'x':
          extension = { ...extension, records: this.#records(await this.#special(header)) };
          continue;
        case 'g':
          await this.#special(header);
          continue;
        case 'L':
          extension = { ...extension, longName: cut(await this.#special(header)) };
          continue;
        case 'K':
          extension = { ...extension, longLink: cut(await this.#special(header)) };
          continue;
        default:
          return this.#entry(header, extension);
      }
    }
  }

  async #header(): Promise<RawHeader | undefined> {
    const block = await this.#block();
    if (block === undefined) return undefined;
    const parsed = parseBlock(block);
    if (typeof parsed === 'string') throw this.#broken(parsed);
    return parsed;
  }

  /** A block that is not the end: two blocks of zeros, one at the end of the stream, or the stream's end. */
  async #block(): Promise<Uint8Array | undefined> {
    for (let zeros = 0; ; zeros++) {
      const block = this.#queue.takeNow(BLOCK) ?? (await this.#queue.take(BLOCK));
      if (block.length === 0) return undefined;
      if (block.length < BLOCK) throw this.#broken('the archive ends inside a header');
      if (!isZero(block)) {
        if (zeros > 0) throw this.#broken('a block of zeros stands between members');
        return block;
      }
      if (zeros === 1) return undefined;
    }
  }

  async #special(header: RawHeader): Promise<Uint8Array> {
    if (header.size > SPECIAL_LIMIT) throw this.#broken('an extended header is larger than 1 MiB');
    const body = new Uint8Array(await this.#queue.take(header.size));
    if (body.length < header.size) throw this.#broken('the archive ends inside an extended header');
    await this.#skip(paddingOf(header.size));
    return body;
  }

  #records(body: Uint8Array): ReadonlyMap<string, Uint8Array> {
    const records = parsePax(body);
    if (typeof records === 'string') throw this.#broken(records);
    return records;
  }

  #entry(header: RawHeader, extension: Extension): TarEntry {
    const { records } = extension;
    const name = nameOfBytes(records.get('path') ?? extension.longName ?? header.name);
    this.#last = name;
    if (header.flag === 'S' || [...records.keys()].some((key) => key.startsWith('GNU.sparse.')))
      throw this.#broken('it is a sparse file, which is not supported in archives');
    const known = TYPES[header.flag];
    if (known === undefined)
      throw this.#broken(`its type ${JSON.stringify(header.flag)} is not known`);
    const type = known === 'file' && header.flag === '\0' && name.endsWith('/') ? 'dir' : known;
    if (name === '' || name.includes('\0')) throw this.#broken('its name is empty or holds a NUL');
    const size =
      type === 'file' ? this.#number(records, 'size', header.size, Number.MAX_SAFE_INTEGER) : 0;
    this.#left = size;
    this.#padding = paddingOf(size);
    const link = nameOfBytes(records.get('linkpath') ?? extension.longLink ?? header.linkname);
    if (link.includes('\0')) throw this.#broken('its link target holds a NUL');
    return {
      name,
      type,
      mode: header.mode & 0o7777,
      uid: this.#number(records, 'uid', header.uid, ID_LIMIT),
      gid: this.#number(records, 'gid', header.gid, ID_LIMIT),
      size,
      mtimeNs: this.#mtime(records, header.mtimeSeconds),
      xattrs: xattrsOf(records),
      ...(type === 'symlink' || type === 'hardlink' ? { link } : {}),
      ...(type === 'char' || type === 'block'
        ? { device: { major: header.major, minor: header.minor } }
        : {}),
      ...ownerName('uname', records.get('uname') ?? header.uname),
      ...ownerName('gname', records.get('gname') ?? header.gname),
    };
  }

  #number(records: Extension['records'], key: string, header: number, limit: number): number {
    const record = records.get(key);
    const value = record === undefined ? header : Number(Buffer.from(record).toString('latin1'));
    if (Number.isInteger(value) && value >= 0 && value < limit) return value;
    throw this.#broken(`its ${key} is out of range`);
  }

  #mtime(records: Extension['records'], seconds: number): bigint {
    const record = records.get('mtime');
    if (record === undefined) return BigInt(seconds) * 1_000_000_000n;
    const time = parsePaxTime(Buffer.from(record).toString('latin1'));
    if (time === undefined) throw this.#broken('its time is not a number');
    return time;
  }

  async #skip(count: number): Promise<void> {
    if (count === 0 || this.#queue.takeNow(count) !== undefined) return;
    // Some writers leave out the padding of the last member.
    if ((await this.#queue.skip(count)) < count - this.#padding)
      throw this.#broken('the archive ends inside its data');
  }

  #broken(why: string): FailureError {
    const where =
      this.#last === '' ? `at byte ${this.#queue.offset}` : `at or behind ${quoted(this.#last)}`;
    return new FailureError(failure('ST201', 3, `tar archive, ${where}: ${why}`));
  }
}

/** A name as it can be printed: control characters and undecodable bytes escaped. */
export function quoted(name: string): string {
  return JSON.stringify(name);
}

function cut(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

function ownerName(key: 'uname' | 'gname', bytes: Uint8Array): Partial<Record<typeof key, string>> {
  return bytes.length === 0 ? {} : { [key]: nameOfBytes(bytes) };
}

function xattrsOf(records: Extension['records']): ReadonlyMap<string, Uint8Array> {
  const found = [...records]
    .filter(([key]) => key.startsWith(XATTR_PREFIX) && key.length > XATTR_PREFIX.length)
    .map(([key, value]) => [key.slice(XATTR_PREFIX.length), value] as const);
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
