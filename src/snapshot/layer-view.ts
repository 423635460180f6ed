import type { BigIntStats } from 'node:fs';
import type { Digest } from '../base/index.ts';
import type { FileEntry, FileType } from '../cachekey/index.ts';
import { entryOf, isOpaque, isWhiteout, statOf, typeOf } from './disk-entry.ts';
import { join, namesIn } from './layer-path.ts';
import { readFile } from './read-file.ts';

/** What one layer has at a path. */
export interface Seen {
  readonly type: FileType | 'whiteout';
  /** The whole entry, which costs more than its type. Not for whiteouts. */
  entry(): FileEntry;
}

/** One layer by itself, in the terms of overlayfs, however it is kept. Paths are absolute and clean. */
export interface LayerView {
  see(path: string): Seen | undefined;
  /** Names in a directory, whiteouts included, in any order; none when there is no directory. */
  names(path: string): readonly string[];
  /** Whether a directory of the layer hides what lower layers have below it. */
  isOpaque(path: string): boolean;
  /** The data of a regular file. */
  read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** All data of a small regular file, as `FileTree.readNow`. */
  readNow(path: string): Uint8Array | undefined;
  /** Where the data of a regular file lies as a file of its own. */
  diskPath(path: string): string | undefined;
  /** The digest of a regular file, when known. */
  digest(path: string): Digest | undefined;
  setDigest(path: string, digest: Digest): void;
}

/** Digests of the regular files of a layer that are known. */
export interface DigestMemo {
  get(path: string): Digest | undefined;
  set(path: string, digest: Digest): void;
}

/** An extracted layer: a directory in overlayfs form. */
export class DirectoryView implements LayerView {
  readonly #dir: string;
  readonly #digests: DigestMemo | undefined;

  constructor(dir: string, digests?: DigestMemo) {
    this.#dir = dir;
    this.#digests = digests;
  }

  see(path: string): Seen | undefined {
    const disk = join(this.#dir, path);
    const stat = statOf(disk);
    return stat === undefined ? undefined : new SeenOnDisk(disk, stat);
  }

  names(path: string): readonly string[] {
    return namesIn(join(this.#dir, path));
  }

  isOpaque(path: string): boolean {
    return isOpaque(join(this.#dir, path));
  }

  read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return readFile(join(this.#dir, path), signal);
  }

  readNow(): undefined {
    return undefined;
  }

  diskPath(path: string): string {
    return join(this.#dir, path);
  }

  digest(path: string): Digest | undefined {
    return this.#digests?.get(path);
  }

  setDigest(path: string, digest: Digest): void {
    this.#digests?.set(path, digest);
  }
}

class SeenOnDisk implements Seen {
  readonly type: FileType | 'whiteout';
  readonly #disk: string;
  readonly #stat: BigIntStats;

  constructor(disk: string, stat: BigIntStats) {
    this.#disk = disk;
    this.#stat = stat;
    this.type = isWhiteout(stat) ? 'whiteout' : typeOf(stat);
  }

  entry(): FileEntry {
    return entryOf(this.#disk, this.#stat);
  }
}
