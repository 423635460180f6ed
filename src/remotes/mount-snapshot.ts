import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { type Digest, fsPath, isErrno, nameOfBytes, sha256 } from '../base/index.ts';
import { Chunker } from '../chunks/index.ts';
import type { MountChunk, MountEntry, MountIndex, MountPack } from './mount-index.ts';
import { type PackedChunk, PackWriter } from './mount-packs.ts';

/** What a directory looked like, in the form in which it is kept elsewhere. */
export interface MountSnapshot {
  readonly index: MountIndex;
  /** Packs that were made for it; all others of the index are there already. */
  readonly written: readonly MountPack[];
  /** Bytes of all files, and of those in chunks that were not there. */
  readonly bytes: number;
  readonly newBytes: number;
  readonly files: number;
  /** Files that changed whenever they were read; they are left out. */
  readonly restless: readonly string[];
}

/** How a directory is put into chunks. */
export interface SnapshotOptions {
  readonly signal: AbortSignal;
  /** What is there already; only other chunks are put into packs. */
  readonly previous?: MountIndex;
  readonly generation: number;
  /** Keeps a pack. */
  readonly put: (bytes: Uint8Array) => Promise<Digest>;
}

/** Files up to this size share chunks with their neighbours. */
const SMALL = 32 * 1024;
const BLOCK = 1 << 20;
/** How often a file that changes is read before it is left out. */
const READS = 3;

/**
 * Reads a directory into chunks: entries in the order of their names' bytes, so that the same directory gives the same
 * bytes. Sockets, pipes, devices and extended attributes are no part of it.
 */
export async function snapshotMount(dir: string, options: SnapshotOptions): Promise<MountSnapshot> {
  const work = new Snapshot(dir, options);
  await work.run();
  return work.result();
}

interface ChunkRow {
  readonly digest: Digest;
  readonly size: number;
  readonly at: PackedChunk;
}

class Snapshot {
  readonly #dir: string;
  readonly #options: SnapshotOptions;
  readonly #packs: PackWriter;
  /** Chunks that are there already, by digest. */
  readonly #there = new Map<Digest, { readonly chunk: MountChunk; readonly pack: MountPack }>();
  readonly #rows: ChunkRow[] = [];
  readonly #rowOf = new Map<Digest, number>();
  readonly #entries: MountEntry[] = [];
  readonly #smallChunker = new Chunker();
  readonly #small: number[] = [];
  #smallBytes = 0;
  /** First name of each file that has several. */
  readonly #inodes = new Map<string, string>();
  readonly #restless: string[] = [];
  readonly #block = new Uint8Array(BLOCK);
  #bytes = 0;
  #newBytes = 0;
  #files = 0;

  constructor(dir: string, options: SnapshotOptions) {
    this.#dir = dir;
    this.#options = options;
    this.#packs = new PackWriter(options.put, options.generation);
    const { previous } = options;
    for (const chunk of previous?.chunks ?? []) {
      const pack = previous?.packs[chunk.pack];
      if (pack !== undefined) this.#there.set(chunk.digest, { chunk, pack });
    }
  }

  async run(): Promise<void> {
    await this.#entry('');
    for (const chunk of this.#smallChunker.finish()) this.#small.push(await this.#chunk(chunk));
    await this.#packs.finish();
  }

  result(): MountSnapshot {
    const packs: MountPack[] = [];
    const packOf = new Map<Digest, number>();
    const sizes = new Map(
      [...(this.#options.previous?.packs ?? []), ...this.#packs.written].map((p) => [
        p.digest,
        p.size,
      ]),
    );
    const chunks = this.#rows.map(({ digest, size, at }) => {
      let pack = packOf.get(at.pack);
      if (pack === undefined) {
        pack = packs.length;
        packOf.set(at.pack, pack);
        packs.push({ digest: at.pack, size: sizes.get(at.pack) ?? 0 });
      }
      return { digest, size, pack, offset: at.offset, stored: at.stored };
    });
    const { generation } = this.#options;
    return {
      index: { generation, packs, chunks, small: this.#small, entries: this.#entries },
      written: this.#packs.written,
      bytes: this.#bytes,
      newBytes: this.#newBytes,
      files: this.#files,
      restless: this.#restless,
    };
  }

  /** Adds what is at `path` and below; what vanishes meanwhile is no part of it. */
  async #entry(path: string): Promise<void> {
    const disk = path === '' ? this.#dir : `${this.#dir}/${path}`;
    const stat = found(() => lstatSync(fsPath(disk), { bigint: true }));
    if (stat === undefined) return;
    const owned = { path, uid: Number(stat.uid), gid: Number(stat.gid), mtimeNs: stat.mtimeNs };
    if (stat.isDirectory()) {
      const names = found(() => readdirSync(fsPath(disk), { encoding: 'buffer' }));
      if (names === undefined) return;
      this.#entries.push({ type: 'dir', ...owned, mode: Number(stat.mode) & 0o3777 });
      for (const name of names.sort((a, b) => Buffer.compare(a, b))) {
        const text = nameOfBytes(name);
        await this.#entry(path === '' ? text : `${path}/${text}`);
      }
    } else if (stat.isSymbolicLink()) {
      const link = found(() => nameOfBytes(readlinkSync(fsPath(disk), 'buffer')));
      if (link !== undefined) this.#entries.push({ type: 'symlink', ...owned, link });
    } else if (stat.isFile()) await this.#file(disk, path, stat);
  }

  async #file(disk: string, path: string, stat: BigIntStats): Promise<void> {
    const inode = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1n ? this.#inodes.get(inode) : undefined;
    if (first !== undefined) {
      this.#entries.push({ type: 'hardlink', path, link: first });
      return;
    }
    for (let attempt = 0; attempt < READS; attempt++) {
      this.#options.signal.throwIfAborted();
      const read = await this.#read(disk);
      if (read === 'gone') return;
      if (read === 'changed') continue;
      const { data, stat: at } = read;
      const owned = { path, uid: Number(at.uid), gid: Number(at.gid), mtimeNs: at.mtimeNs };
      const size = Number(at.size);
      this.#entries.push({ type: 'file', ...owned, mode: Number(at.mode) & 0o1777, size, data });
      if (stat.nlink > 1n) this.#inodes.set(inode, path);
      this.#files++;
      this.#bytes += size;
      return;
    }
    this.#restless.push(path);
  }

  /** The chunks of a file, unless it was written to meanwhile. */
  async #read(
    disk: string,
  ): Promise<
    'gone' | 'changed' | { readonly data: number | readonly number[]; readonly stat: BigIntStats }
  > {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = found(() => openSync(fsPath(disk), flags));
    if (fd === undefined) return 'gone';
    try {
      const stat = fstatSync(fd, { bigint: true });
      if (!stat.isFile()) return 'changed';
      const size = Number(stat.size);
      const small = size <= SMALL;
      const data = small ? this.#readSmall(fd, size) : await this.#readLarge(fd, size);
      const after = fstatSync(fd, { bigint: true });
      const same = after.mtimeNs === stat.mtimeNs && after.ctimeNs === stat.ctimeNs;
      if (data === undefined || !same || after.size !== stat.size) return 'changed';
      return { stat, data: data instanceof Uint8Array ? await this.#addSmall(data) : data };
    } finally {
      closeSync(fd);
    }
  }

  #readSmall(fd: number, size: number): Uint8Array | undefined {
    const length = readSync(fd, this.#block, 0, SMALL + 1, 0);
    return length === size ? this.#block.subarray(0, size) : undefined;
  }

  async #addSmall(data: Uint8Array): Promise<number> {
    const at = this.#smallBytes;
    this.#smallBytes += data.length;
    for (const chunk of this.#smallChunker.push(data)) this.#small.push(await this.#chunk(chunk));
    return at;
  }

  async #readLarge(fd: number, size: number): Promise<readonly number[] | undefined> {
    const chunker = new Chunker();
    const indexes: number[] = [];
    let at = 0;
    for (;;) {
      this.#options.signal.throwIfAborted();
      const length = readSync(fd, this.#block, 0, BLOCK, at);
      if (length === 0) break;
      at += length;
      for (const chunk of chunker.push(this.#block.subarray(0, length)))
        indexes.push(await this.#chunk(chunk));
      // Lets timers and signals in.
      await new Promise(setImmediate);
    }
    for (const chunk of chunker.finish()) indexes.push(await this.#chunk(chunk));
    return at === size ? indexes : undefined;
  }

  async #chunk(bytes: Uint8Array): Promise<number> {
    const digest = sha256(bytes);
    const known = this.#rowOf.get(digest);
    if (known !== undefined) return known;
    const there = this.#there.get(digest);
    let at: PackedChunk;
    if (there === undefined) {
      at = await this.#packs.add(bytes);
      this.#newBytes += bytes.length;
    } else {
      const { pack, chunk } = there;
      at = { pack: pack.digest, offset: chunk.offset, stored: chunk.stored };
    }
    this.#rowOf.set(digest, this.#rows.length);
    this.#rows.push({ digest, size: bytes.length, at });
    return this.#rows.length - 1;
  }
}

/** The answer, or undefined when what was asked for has gone or become something else. */
function found<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined;
    throw e;
  }
}
