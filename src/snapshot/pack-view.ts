import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join as joinDisk } from 'node:path';
import { crc32 } from 'node:zlib';
import { type Digest, FailureError, failure, isErrno } from '../base/index.ts';
import type { FileEntry, FileType } from '../cachekey/index.ts';
import type { Change } from './layer-tar.ts';
import type { DigestMemo, LayerView, Seen } from './layer-view.ts';
import { LARGE_FILE } from './pack-data.ts';
import { DELETES, LARGE, OPAQUE, OWN_DIGEST, PADDED, PackIndex, SAME } from './pack-index.ts';
import { readFile } from './read-file.ts';

/** Data is read ahead in pieces of this size where it is read in a row. */
const WINDOW = 1024 * 1024;
const NO_DATA = new Uint8Array(0);
const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

/** A packed layer: `entries` says what is in it, `data` and `large/` hold the data of its files. */
export class PackView implements LayerView {
  readonly #dir: string;
  readonly #name: string;
  readonly #digests: DigestMemo | undefined;
  #index: PackIndex | undefined;
  #rows: ReadonlyMap<string, number> | undefined;
  #next: Int32Array | undefined;
  #first: Int32Array | undefined;
  #window: Uint8Array = NO_DATA;
  #windowAt = 0;
  #expected = 0;

  /** `index` when the layer was only just written. */
  constructor(dir: string, name: string, digests?: DigestMemo, index?: PackIndex) {
    this.#dir = dir;
    this.#name = name;
    this.#digests = digests;
    this.#index = index;
  }

  /** The rows; a damaged file is a failure. */
  get index(): PackIndex {
    this.#index ??= this.#load();
    return this.#index;
  }

  see(path: string): Seen | undefined {
    const row = this.rows.get(path);
    if (row === undefined) return undefined;
    const type = this.index.type(row);
    return type === 'hidden' ? undefined : new SeenInPack(this, row, type);
  }

  names(path: string): readonly string[] {
    const row = this.rows.get(path);
    if (row === undefined) return [];
    const { index } = this;
    const names: string[] = [];
    for (let child = this.#children(row); child > 0; child = this.#next?.[child] ?? 0)
      if (index.type(child) !== 'hidden') names.push(index.name(child));
    return names;
  }

  isOpaque(path: string): boolean {
    return (this.#flags(path) & OPAQUE) !== 0;
  }

  read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const row = this.#file(path);
    const size = this.index.size[row] ?? 0;
    if ((this.#flags(path) & LARGE) !== 0) return readFile(this.largePath(row), signal, size);
    return this.#stream(row, signal);
  }

  async *#stream(row: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (const part of this.parts(row)) {
      signal.throwIfAborted();
      yield part;
      await Promise.resolve();
    }
  }

  readNow(path: string): Uint8Array | undefined {
    const row = this.#file(path);
    return this.#isSmall(row) ? this.data(row) : undefined;
  }

  diskPath(path: string): string | undefined {
    const isFile = (this.#flags(path) & (LARGE | PADDED)) === LARGE;
    return isFile ? this.largePath(this.#file(path)) : undefined;
  }

  digest(path: string): Digest | undefined {
    const row = this.rows.get(path);
    if (row === undefined) return undefined;
    return (this.#flags(path) & OWN_DIGEST) === 0
      ? this.#digests?.get(path)
      : this.index.digest(row);
  }

  setDigest(path: string, digest: Digest): void {
    this.#digests?.set(path, digest);
  }

  /** What the layer does to the tree it was made on, as its tar says it. */
  *changes(): Generator<Change> {
    const { index } = this;
    for (const [path, row] of this.walk()) {
      if (row === 0) continue;
      const flags = index.flags[row] ?? 0;
      switch (index.type(row)) {
        case 'whiteout':
          if ((flags & DELETES) !== 0) yield { kind: 'delete', path };
          break;
        case 'hidden':
          yield { kind: 'delete', path };
          break;
        case 'socket':
          break;
        default: {
          const same = (flags & SAME) !== 0;
          yield { kind: 'set', path, entry: this.entry(row), same, data: this.#dataAtHand(row) };
        }
      }
    }
  }

  /** Rows by path. */
  get rows(): ReadonlyMap<string, number> {
    this.#rows ??= new Map(this.walk());
    return this.#rows;
  }

  /** Paths and rows, parents before what is in them. */
  *walk(): Generator<readonly [path: string, row: number]> {
    const { index } = this;
    const dirs: string[] = [''];
    yield ['/', 0];
    for (let row = 1; row < index.count; row++) {
      const path = `${dirs[index.parent[row] ?? 0] ?? ''}/${index.name(row)}`;
      if (index.type(row) === 'dir') dirs[row] = path;
      yield [path, row];
    }
  }

  /** The entry of a row. */
  entry(row: number): FileEntry {
    const { index } = this;
    const type = index.type(row);
    if (type === 'whiteout' || type === 'hidden') throw new Error(`row ${row} is no entry`);
    const extra = index.extra(row);
    const group = index.group[row] ?? 0;
    return {
      type,
      mode: index.mode[row] ?? 0,
      uid: index.uid[row] ?? 0,
      gid: index.gid[row] ?? 0,
      size: index.size[row] ?? 0,
      mtimeNs: index.mtimeNs[row] ?? 0n,
      xattrs: extra?.xattrs ?? NO_XATTRS,
      ...(extra?.link === undefined ? {} : { link: extra.link }),
      ...(extra?.device === undefined ? {} : { device: extra.device }),
      ...(group === 0 ? {} : { inode: `${this.#name}:${group}` }),
    };
  }

  /**
   * The data of a row that has no file of its own, in pieces; bytes other than those written are a failure, which comes
   * with the last of them.
   */
  *parts(row: number): Generator<Uint8Array> {
    const { index } = this;
    const [size, offset] = [index.size[row] ?? 0, index.offset[row] ?? 0];
    if (size < LARGE_FILE) {
      if (size > 0) yield this.data(row);
      return;
    }
    let crc = 0;
    for (let at = 0; at < size; at += WINDOW) {
      const part = this.#readAt(offset + at, Math.min(WINDOW, size - at));
      crc = crc32(part, crc);
      if (at + part.length === size && crc !== index.crc[row]) throw this.#damaged('data');
      yield part;
    }
  }

  /** The data of a small file; bytes other than those written are a failure. */
  data(row: number): Uint8Array {
    const { index } = this;
    const [size, offset] = [index.size[row] ?? 0, index.offset[row] ?? 0];
    if (size === 0) return NO_DATA;
    const start = offset - this.#windowAt;
    const within = start >= 0 && start + size <= this.#window.length;
    const window = within ? this.#window : this.#readWindow(offset, size);
    const from = offset - this.#windowAt;
    const data = window.subarray(from, from + size);
    this.#expected = offset + size;
    if (data.length !== size || crc32(data) !== index.crc[row]) throw this.#damaged('data');
    return data;
  }

  /** Directory of the layer. */
  get dir(): string {
    return this.#dir;
  }

  /** Where the data of a large file lies. */
  largePath(row: number): string {
    return joinDisk(this.#dir, 'large', String(this.index.offset[row] ?? 0));
  }

  #dataAtHand(row: number): Uint8Array | undefined {
    return this.index.type(row) === 'file' && this.#isSmall(row) ? this.data(row) : undefined;
  }

  #isSmall(row: number): boolean {
    const { index } = this;
    return ((index.flags[row] ?? 0) & LARGE) === 0 && (index.size[row] ?? 0) < LARGE_FILE;
  }

  #readWindow(offset: number, size: number): Uint8Array {
    const ahead = offset === this.#expected ? WINDOW : 0;
    const length = Math.min(Math.max(size, ahead), this.index.dataSize - offset);
    this.#window = this.#readAt(offset, Math.max(0, length));
    this.#windowAt = offset;
    return this.#window;
  }

  #readAt(offset: number, length: number): Uint8Array {
    const buffer = Buffer.allocUnsafeSlow(length);
    const fd = openSync(joinDisk(this.#dir, 'data'), 'r');
    try {
      let filled = 0;
      while (filled < length) {
        const read = readSync(fd, buffer, filled, length - filled, offset + filled);
        if (read === 0) throw this.#damaged('data');
        filled += read;
      }
    } finally {
      closeSync(fd);
    }
    return buffer;
  }

  #load(): PackIndex {
    try {
      const index = PackIndex.decode(readFileSync(joinDisk(this.#dir, 'entries')));
      if (index === undefined) throw this.#damaged('entries');
      return index;
    } catch (e) {
      if (isErrno(e, 'ENOENT')) throw this.#damaged('entries');
      throw e;
    }
  }

  #damaged(file: string): FailureError {
    const path = joinDisk(this.#dir, file);
    return new FailureError(
      failure('ST304', 3, `a layer of the store is damaged: ${path} is not as it was written`, {
        help: 'build again with --no-cache: the layer is then made anew',
      }),
    );
  }

  #children(row: number): number {
    if (this.#first === undefined) {
      const { index } = this;
      const first = new Int32Array(index.count);
      const next = new Int32Array(index.count);
      for (let i = index.count - 1; i > 0; i--) {
        const parent = index.parent[i] ?? 0;
        next[i] = first[parent] ?? 0;
        first[parent] = i;
      }
      this.#first = first;
      this.#next = next;
    }
    return this.#first[row] ?? 0;
  }

  #flags(path: string): number {
    const row = this.rows.get(path);
    return row === undefined ? 0 : (this.index.flags[row] ?? 0);
  }

  #file(path: string): number {
    const row = this.rows.get(path);
    if (row === undefined || this.index.type(row) !== 'file')
      throw new Error(`not a regular file: ${path}`);
    return row;
  }
}

class SeenInPack implements Seen {
  readonly type: FileType | 'whiteout';
  readonly #pack: PackView;
  readonly #row: number;

  constructor(pack: PackView, row: number, type: FileType | 'whiteout') {
    this.#pack = pack;
    this.#row = row;
    this.type = type;
  }

  entry(): FileEntry {
    return this.#pack.entry(this.#row);
  }
}
