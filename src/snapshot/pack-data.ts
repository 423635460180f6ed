import {
  closeSync,
  constants,
  copyFileSync,
  mkdirSync,
  openSync,
  readSync,
  truncateSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { fsPath, writeAllSync } from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import type { PackedData } from '../ports/index.ts';
import { PackSources } from './pack-sources.ts';
import { readFile, readSmallFile } from './read-file.ts';

/** Files from this size on are kept as files of their own: a directory made of the layer shares their bytes. */
export const LARGE_FILE = 256 * 1024;
/** Where aligned data begins and ends: the smallest block of a file system. */
export const ALIGNMENT = 512;
/** Files from this size on are copied by another thread. */
const LONG_COPY = 4 * 1024 * 1024;
const COPY_FLAGS = constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL;
const BUFFER = 1024 * 1024;

/** Where the data of one file lies in a packed layer. */
export interface StoredData extends PackedData {
  readonly kind: 'small' | 'large';
  /** Where it begins in `data`, or the number of its file in `large/`. */
  readonly offset: number;
  readonly crc: number;
  /** Its file has zeros behind it. */
  readonly padded?: boolean;
  /** Row of what it was copied from in the layer's sources; -1: not known. */
  readonly source: number;
}

/** A regular file to copy. */
export interface CopySource {
  readonly tree: FileTree;
  readonly path: string;
  readonly entry: FileEntry;
}

/** Data of earlier layers by the digest (32 bytes) of what it was copied from. */
export interface EarlierData {
  find(digest: Uint8Array, size: number): Uint8Array | undefined;
}

/**
 * Writes the data of a packed layer: small files one after another into `data`, large ones into `large/`. Aligned, each begins
 * and ends at a multiple of `ALIGNMENT`, as the kernel needs it to read them where they are.
 */
export class PackData {
  /** What data was copied from. */
  readonly sources = new PackSources();
  readonly #dir: string;
  readonly #earlier: EarlierData | undefined;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  #filled = 0;
  #size = 0;
  #larges = 0;
  #fd: number | undefined;
  readonly #aligned: boolean;

  constructor(
    dir: string,
    options: { readonly earlier?: EarlierData | undefined; readonly aligned: boolean },
  ) {
    this.#dir = dir;
    this.#earlier = options.earlier;
    this.#aligned = options.aligned;
  }

  /** Bytes of `data`. */
  get size(): number {
    return this.#size;
  }

  copy(from: CopySource, signal: AbortSignal): StoredData | Promise<StoredData> {
    const { tree, path, entry } = from;
    const digest = tree.knownDigest?.(path);
    const source = digest === undefined ? -1 : this.sources.add(digest, entry);
    if (entry.size === 0) return this.#small(new Uint8Array(0), source);
    if (entry.size < LARGE_FILE) {
      const known = source === -1 ? undefined : this.#known(source, entry.size);
      const bytes = known ?? tree.readNow?.(path);
      if (bytes !== undefined) return this.#small(bytes, source);
    }
    const disk = tree.diskPath(path);
    if (disk === undefined) return this.#stream(tree.read(path, signal), source);
    if (entry.size >= LONG_COPY) return this.#longCopy(from, disk, source);
    const stored =
      entry.size < LARGE_FILE
        ? this.#small(readSmallFile(disk, entry.size), source)
        : this.#largeCopy(disk, entry.size, source);
    // A tree that can change under our hands (a local context) says so when it is asked again for the path.
    tree.diskPath(path);
    return stored;
  }

  write(data: Uint8Array): StoredData {
    if (data.length < LARGE_FILE) return this.#small(data, -1);
    const offset = this.#newLarge();
    const fd = openSync(this.#largePath(offset), 'wx', 0o600);
    try {
      writeAllSync(fd, data);
    } finally {
      closeSync(fd);
    }
    return this.#large(offset, data.length, -1);
  }

  async stream(data: AsyncIterable<Uint8Array>): Promise<StoredData> {
    return await this.#stream(data, -1);
  }

  /** Writes what is in memory, and closes; nothing is added after it. */
  finish(): void {
    this.#fd ??= openSync(join(this.#dir, 'data'), 'wx', 0o600);
    this.#flush();
    this.close();
  }

  /** Reads back what was stored. */
  read(data: StoredData, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { kind, offset, size } = data;
    if (kind === 'large') return readFile(this.#largePath(offset), signal, size);
    const bytes = Buffer.allocUnsafe(size);
    const fd = openSync(join(this.#dir, 'data'), 'r');
    try {
      if (readSync(fd, bytes, 0, size, offset) !== size) throw new Error('the data is cut short');
    } finally {
      closeSync(fd);
    }
    return Readable.from([bytes]);
  }

  /** Closes whatever state the data is in. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #known(source: number, size: number): Uint8Array | undefined {
    return this.#earlier?.find(this.sources.digest(source), size);
  }

  async #stream(data: AsyncIterable<Uint8Array>, source: number): Promise<StoredData> {
    const head: Uint8Array[] = [];
    let size = 0;
    let offset = -1;
    let fd: number | undefined;
    try {
      for await (const chunk of data) {
        size += chunk.length;
        if (fd === undefined && size < LARGE_FILE) {
          // The chunk may be overwritten when the next one is asked for.
          head.push(Uint8Array.from(chunk));
          continue;
        }
        if (fd === undefined) {
          offset = this.#newLarge();
          fd = openSync(this.#largePath(offset), 'wx', 0o600);
          for (const part of head) writeAllSync(fd, part);
        }
        writeAllSync(fd, chunk);
      }
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
    return fd === undefined
      ? this.#small(Buffer.concat(head), source)
      : this.#large(offset, size, source);
  }

  #largeCopy(disk: string, size: number, source: number): StoredData {
    const offset = this.#newLarge();
    copyFileSync(fsPath(disk), this.#largePath(offset), COPY_FLAGS);
    return this.#large(offset, size, source);
  }

  /** Copies on another thread: other steps go on meanwhile. */
  async #longCopy(from: CopySource, disk: string, source: number): Promise<StoredData> {
    const offset = this.#newLarge();
    await copyFile(fsPath(disk), this.#largePath(offset), COPY_FLAGS);
    from.tree.diskPath(from.path);
    return this.#large(offset, from.entry.size, source);
  }

  #newLarge(): number {
    if (this.#larges === 0) mkdirSync(join(this.#dir, 'large'));
    return this.#larges++;
  }

  /** A file that was written. */
  #large(offset: number, size: number, source: number): StoredData {
    const over = this.#aligned ? size % ALIGNMENT : 0;
    if (over !== 0) truncateSync(this.#largePath(offset), size + ALIGNMENT - over);
    return { kind: 'large', offset, size, crc: 0, padded: over !== 0, source };
  }

  #largePath(offset: number): string {
    return join(this.#dir, 'large', String(offset));
  }

  #small(bytes: Uint8Array, source: number): StoredData {
    const { length } = bytes;
    const over = this.#aligned ? length % ALIGNMENT : 0;
    const room = over === 0 ? length : length + ALIGNMENT - over;
    if (this.#filled + room > BUFFER) this.#flush();
    this.#buffer.set(bytes, this.#filled);
    this.#buffer.fill(0, this.#filled + length, this.#filled + room);
    this.#filled += room;
    const offset = this.#size;
    this.#size += room;
    return { kind: 'small', offset, size: length, crc: crc32(bytes), source };
  }

  #flush(): void {
    if (this.#filled === 0) return;
    this.#fd ??= openSync(join(this.#dir, 'data'), 'wx', 0o600);
    writeAllSync(this.#fd, this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }
}
