import { createHash } from 'node:crypto';
import { type BigIntStats, readdirSync } from 'node:fs';
import {
  byUtf8,
  type Digest,
  digestOfHex,
  fsPath,
  isErrno,
  nameOfBytes,
  sha256,
} from '../base/index.ts';
import { entryHeader, type FileEntry, type FileTree } from '../cachekey/index.ts';
import { entryOf, isOpaque, isWhiteout, statOf } from './disk-entry.ts';
import { readFile } from './read-file.ts';

/** One layer of a merged tree: its directory, and the digests found out so far. */
export interface TreeLayer {
  readonly dir: string;
  readonly digests?: DigestMemo;
}

/** Digests of the regular files of a layer that are known. */
export interface DigestMemo {
  get(path: string): Digest | undefined;
  set(path: string, digest: Digest): void;
}

interface Found {
  readonly layer: TreeLayer;
  readonly disk: string;
  readonly stat: BigIntStats;
}

/**
 * The merged view of layer directories in overlayfs form, looked up as the kernel would and without a mount: whiteouts
 * and opaque directories hide what is below, directories merge, the topmost layer gives the metadata.
 */
export class OverlayTree implements FileTree {
  readonly rootHeader = 'entry';
  /** Topmost first. */
  readonly #layers: readonly TreeLayer[];
  /** For each directory looked into: the layers that have a part in it, topmost first. */
  readonly #parts = new Map<string, readonly TreeLayer[]>();

  /** `layers` lowest first. */
  constructor(layers: readonly TreeLayer[]) {
    this.#layers = layers.toReversed();
  }

  lstat(path: string): FileEntry | undefined {
    if (path === '/' && this.#layers.length === 0) return EMPTY_ROOT;
    const found = this.#find(path);
    return found === undefined ? undefined : entryOf(found.disk, found.stat);
  }

  list(path: string): readonly string[] {
    const names = new Map<string, boolean>();
    for (const { dir } of this.#partsOf(path)) {
      for (const entry of namesIn(join(dir, path))) {
        if (names.has(entry)) continue;
        const stat = statOf(join(dir, join(path, entry)));
        if (stat !== undefined) names.set(entry, !isWhiteout(stat));
      }
    }
    return [...names]
      .filter(([, visible]) => visible)
      .map(([name]) => name)
      .sort(byUtf8);
  }

  async digest(path: string, signal: AbortSignal): Promise<Digest> {
    signal.throwIfAborted();
    if (path === '/' && this.#layers.length === 0) return sha256(entryHeader(EMPTY_ROOT));
    const found = this.#find(path);
    if (found === undefined) throw new Error(`no such path in the tree: ${path}`);
    const known = found.layer.digests?.get(path);
    if (known !== undefined) return known;
    const entry = entryOf(found.disk, found.stat);
    if (entry.type !== 'file') return sha256(entryHeader(entry));
    const hash = createHash('sha256').update(entryHeader(entry));
    for await (const chunk of readFile(found.disk, signal)) hash.update(chunk);
    const digest = digestOfHex(hash.digest('hex'));
    found.layer.digests?.set(path, digest);
    return digest;
  }

  read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const disk = this.diskPath(path);
    if (disk === undefined) throw new Error(`not a regular file: ${path}`);
    return readFile(disk, signal);
  }

  diskPath(path: string): string | undefined {
    const found = this.#find(path);
    return found?.stat.isFile() === true ? found.disk : undefined;
  }

  #find(path: string): Found | undefined {
    const parts = path === '/' ? this.#layers : this.#partsOf(parentOf(path));
    for (const layer of parts) {
      const disk = join(layer.dir, path);
      const stat = statOf(disk);
      if (stat === undefined) continue;
      return isWhiteout(stat) ? undefined : { layer, disk, stat };
    }
    return undefined;
  }

  /** The layers whose directory at `path` shows through; none when it is not a directory. */
  #partsOf(path: string): readonly TreeLayer[] {
    if (path === '/') return this.#layers;
    const known = this.#parts.get(path);
    if (known !== undefined) return known;
    const parts: TreeLayer[] = [];
    for (const layer of this.#partsOf(parentOf(path))) {
      const disk = join(layer.dir, path);
      const stat = statOf(disk);
      if (stat === undefined) continue;
      if (!stat.isDirectory()) break;
      parts.push(layer);
      if (isOpaque(disk)) break;
    }
    this.#parts.set(path, parts);
    return parts;
  }
}

/** Names in a directory on disk, unsorted; none when it is absent or not a directory. */
export function namesIn(disk: string): string[] {
  try {
    return readdirSync(fsPath(disk), { encoding: 'buffer' }).map(nameOfBytes);
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return [];
    throw e;
  }
}

/** The directory that holds a clean absolute path. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** Joins two clean paths; `path` may start with a slash. */
export function join(dir: string, path: string): string {
  if (path === '/' || path === '') return dir;
  const base = dir === '/' ? '' : dir;
  return path.startsWith('/') ? base + path : `${base}/${path}`;
}

/** The root of a tree without layers, as a snapshot's root is made. */
const EMPTY_ROOT: FileEntry = {
  type: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  xattrs: new Map(),
};
