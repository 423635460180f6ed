import { err, FailureError, failure, nameOfBytes, ok, type Result } from '../base/index.ts';
import { ByteQueue } from './byte-queue.ts';
import type { TarEntry, TarType } from './tar-entry.ts';

/** What is known from elsewhere of a file that a stripped archive names by its number only. */
export interface StrippedFile {
  readonly name: string;
  /** `st_mode`: type and permissions. */
  readonly mode: number;
  readonly size: number;
  readonly mtime: number;
  readonly device: { readonly major: number; readonly minor: number };
  /** The same for all names of one file; undefined for a file with one name. */
  readonly inode: number | undefined;
  /** Of the names of one file, the one whose data the archive holds. */
  readonly hasData: boolean;
}

/** Bytes of a header behind its magic number: thirteen fields of eight hexadecimal digits. */
const NEWC = 104;
const STRIPPED_MAGIC = '07070X';
const MAGICS = new Set(['070701', '070702']);
const MAX_NAME = 64 * 1024;
const MAX_LINK = 64 * 1024;

/** Type bits of `st_mode` (inode(7)). */
const TYPES: ReadonlyMap<number, TarType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'dir'],
  [0o120000, 'symlink'],
  [0o020000, 'char'],
  [0o060000, 'block'],
  [0o010000, 'fifo'],
]);

interface Member {
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  readonly mtime: number;
  readonly device: { readonly major: number; readonly minor: number };
  readonly inode: string | undefined;
}

/**
 * Reads cpio archives of the "new ASCII" format (cpio(5)) and the stripped form that rpm uses for packages with files of 4 GiB
 * and more, entry by entry, in the terms of tar: names of one file after the first that has data are hard links. Everything
 * belongs to root: rpm keeps owners elsewhere.
 */
export class CpioReader {
  readonly #queue: ByteQueue;
  readonly #files: readonly StrippedFile[];
  #left = 0;
  #padding = 0;
  #ended = false;
  /** Names that were seen before the data of their file. */
  readonly #waiting = new Map<string, Member[]>();
  /** Where the data of a file with several names was written. */
  readonly #written = new Map<string, string>();
  readonly #ready: TarEntry[] = [];

  constructor(source: AsyncIterable<Uint8Array>, files: readonly StrippedFile[] = []) {
    this.#queue = new ByteQueue(source);
    this.#files = files;
  }

  /** The next entry, undefined at the end. Data of the entry before that was not read is passed over. */
  async next(): Promise<Result<TarEntry | undefined>> {
    try {
      return ok(await this.#next());
    } catch (e) {
      if (e instanceof FailureError) return err(e.failure);
      throw e;
    }
  }

  /** All data of the entry at once if it is at hand without waiting. */
  dataNow(): Uint8Array | undefined {
    const data = this.#queue.takeNow(this.#left);
    if (data !== undefined) this.#left = 0;
    return data;
  }

  /** The data of the entry; throws a `FailureError` when the archive ends before it. */
  async *data(): AsyncGenerator<Uint8Array> {
    while (this.#left > 0) {
      const part = await this.#queue.takeSome(this.#left);
      if (part === undefined) throw broken('the archive ends inside its data');
      this.#left -= part.length;
      yield part;
    }
  }

  /** Tells the source that nothing more is wanted. */
  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #next(): Promise<TarEntry | undefined> {
    for (;;) {
      await this.#skip(this.#left + this.#padding);
      this.#left = this.#padding = 0;
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      if (this.#ended) return undefined;
      const member = await this.#member();
      if (member === undefined) {
        this.#ended = true;
        this.#flush();
        continue;
      }
      const entry = await this.#entry(member);
      if (entry !== undefined) return entry;
    }
  }

  async #member(): Promise<Member | undefined> {
    const magic = ascii(await this.#exactly(6));
    if (magic === STRIPPED_MAGIC) return await this.#stripped();
    if (!MAGICS.has(magic)) throw broken('it is no cpio archive of the new ASCII format');
    const fields = ascii(await this.#exactly(NEWC));
    const field = (i: number): number => hexNumber(fields.slice(i * 8, i * 8 + 8));
    const [inode, mode, links, mtime, size] = [field(0), field(1), field(4), field(5), field(6)];
    const nameSize = field(11);
    if (nameSize < 1 || nameSize > MAX_NAME) throw broken('the name of an entry is too long');
    const name = nameOfBytes(Buffer.from((await this.#exactly(nameSize)).subarray(0, -1)));
    await this.#skip(paddingTo4(6 + NEWC + nameSize));
    if (name === 'TRAILER!!!') return undefined;
    this.#padding = paddingTo4(size);
    const shared = links > 1 && (mode & 0o170000) === 0o100000;
    return {
      ...{ name, mode, size, mtime },
      device: { major: field(9), minor: field(10) },
      inode: shared ? `${field(7)}:${field(8)}:${inode}` : undefined,
    };
  }

  async #stripped(): Promise<Member> {
    const number = hexNumber(ascii(await this.#exactly(8)));
    await this.#skip(paddingTo4(14));
    const file = this.#files[number];
    if (file === undefined) throw broken(`there is no file ${number}`);
    const size = file.hasData ? file.size : 0;
    this.#padding = paddingTo4(size);
    return { ...file, size, inode: file.inode === undefined ? undefined : String(file.inode) };
  }

  async #entry(member: Member): Promise<TarEntry | undefined> {
    const type = TYPES.get(member.mode & 0o170000);
    if (type === undefined) throw broken(`${JSON.stringify(member.name)} is of no known type`);
    const { inode } = member;
    if (type === 'symlink') {
      if (member.size > MAX_LINK) throw broken('the target of a link is too long');
      const link = nameOfBytes(Buffer.from(await this.#exactly(member.size)));
      return { ...plain(member, type), size: 0, link };
    }
    if (type !== 'file') {
      this.#left = member.size;
      return { ...plain(member, type), size: 0 };
    }
    if (inode !== undefined) {
      const first = this.#written.get(inode);
      if (first !== undefined && member.size === 0) return hardlink(member, first);
      if (member.size === 0) {
        this.#waiting.set(inode, [...(this.#waiting.get(inode) ?? []), member]);
        return undefined;
      }
      this.#written.set(inode, member.name);
      for (const other of this.#waiting.get(inode) ?? [])
        this.#ready.push(hardlink(other, member.name));
      this.#waiting.delete(inode);
    }
    this.#left = member.size;
    return plain(member, type);
  }

  /** Files of several names that are empty. */
  #flush(): void {
    for (const [first, ...others] of this.#waiting.values()) {
      if (first === undefined) continue;
      this.#ready.push(plain(first, 'file'), ...others.map((o) => hardlink(o, first.name)));
    }
    this.#waiting.clear();
  }

  async #exactly(count: number): Promise<Uint8Array> {
    const bytes = await this.#queue.take(count);
    if (bytes.length < count) throw broken('the archive ends too early');
    return bytes;
  }

  async #skip(count: number): Promise<void> {
    if ((await this.#queue.skip(count)) < count) throw broken('the archive ends too early');
  }
}

const plain = (member: Member, type: TarType): TarEntry => ({
  name: member.name,
  type,
  mode: member.mode & 0o7777,
  uid: 0,
  gid: 0,
  size: member.size,
  mtimeNs: BigInt(member.mtime) * 1_000_000_000n,
  ...(type === 'char' || type === 'block' ? { device: member.device } : {}),
  xattrs: new Map(),
});

const hardlink = (member: Member, to: string): TarEntry => ({
  ...plain(member, 'hardlink'),
  size: 0,
  link: to,
});

const ascii = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const paddingTo4 = (size: number): number => (4 - (size % 4)) % 4;

function hexNumber(text: string): number {
  if (!/^[0-9a-fA-F]{8}$/.test(text)) throw broken('a number in it is none');
  return Number.parseInt(text, 16);
}

const broken = (why: string): FailureError =>
  new FailureError(failure('ST201', 3, `cpio archive: ${why}`));
