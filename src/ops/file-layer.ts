import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { byUtf8, fsPath, nameOfBytes, resolveInRoot } from '../base/index.ts';
import type { FileEntry, FileTree, FileType } from '../cachekey/index.ts';
import { makeNode, setTimes, setXattr } from '../sys/index.ts';
import { fileError, fileFailure } from './file-error.ts';

/** What an entry is, without what only a copy of it needs to know. */
export interface EntryKind {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly link?: string;
}

/** Metadata to give an entry; what is absent stays as it is. */
export interface EntryMetadata {
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Permission bits; not for symbolic links. */
  readonly mode?: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  readonly mtimeNs?: bigint;
}

/**
 * State of a path in the layer: a directory merged with the parents' (`merged`) or standing alone (`alone`), any other
 * entry, or the mark that the parents' entry is gone.
 */
type Upper = 'merged' | 'alone' | 'entry' | 'gone';

const YES = Uint8Array.of('y'.charCodeAt(0));

/**
 * A layer being written without a mount: the merged view of the parents and of what was written so far, and changes to
 * it in overlayfs form. Directories of the parents that changes go into are copied up with their metadata, times
 * included, so that the same change gives the same layer. Nothing but this object may write to the layer meanwhile;
 * `finish` completes it.
 */
export class FileLayer {
  readonly #dir: string;
  readonly #lower: FileTree;
  readonly #opaqueXattr: string | undefined;
  readonly #upper = new Map<string, Upper>([['/', 'merged']]);
  /** Modification times that changes below a directory must not disturb. */
  readonly #times = new Map<string, bigint>();

  /** `opaqueXattr=y` on a directory hides the parents' (overlayfs.rst, "whiteouts and opaque directories"); without it nothing is hidden. */
  constructor(layer: {
    readonly upper: string;
    readonly lower: FileTree;
    readonly opaqueXattr?: string;
  }) {
    this.#dir = layer.upper;
    this.#lower = layer.lower;
    this.#opaqueXattr = layer.opaqueXattr;
    const root = layer.lower.lstat('/');
    if (root !== undefined) this.#times.set('/', root.mtimeNs);
  }

  /** The entry at a path, not following a symbolic link there. */
  lstat(path: string): EntryKind | undefined {
    const state = this.#upper.get(path);
    if (state === 'gone') return undefined;
    return state === undefined ? this.#below(path) : this.#onDisk(path);
  }

  /** Names in a directory in byte order. */
  list(path: string): readonly string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = new Set(this.#lowerShows(path) ? this.#lower.list(path) : []);
    for (const [other, state] of this.#upper) {
      if (other === '/' || !other.startsWith(prefix)) continue;
      const name = other.slice(prefix.length);
      if (name.includes('/')) continue;
      if (state === 'gone') names.delete(name);
      else names.add(name);
    }
    return [...names].sort(byUtf8);
  }

  /** Where a path leads, symbolic links followed inside the tree. */
  resolve(path: string): string {
    const at = resolveInRoot(path, (p) => this.lstat(p)?.link);
    if (at === undefined) throw fileError('lstat', path, 'ELOOP');
    return at;
  }

  /** Where a path leads for a process whose root is the directory `root`. */
  resolveBelow(root: string, path: string): string {
    const prefix = root === '/' ? '' : root;
    const at = resolveInRoot(path, (p) => this.lstat(prefix + p)?.link);
    if (at === undefined) throw fileError('lstat', path, 'ELOOP');
    return at === '/' ? root : prefix + at;
  }

  /** Makes a directory; its parent must be one and nothing may be at the path. */
  makeDir(path: string, mode: number): void {
    const hides = this.#enter(path, 'mkdir') === 'gone';
    mkdirSync(this.#disk(path));
    chmodSync(this.#disk(path), mode);
    if (hides && this.#opaqueXattr !== undefined)
      setXattr(this.#dir + path, this.#opaqueXattr, YES);
    this.#upper.set(path, 'alone');
  }

  /** Makes a regular file of bytes in memory, or gives an existing file new content. */
  writeFile(path: string, data: Uint8Array, mode: number): void {
    const existing = this.lstat(path);
    if (existing?.type === 'dir') throw fileError('open', path, 'EISDIR');
    if (existing !== undefined && this.#upper.get(path) === 'entry') {
      writeFileSync(this.#disk(path), data);
      return;
    }
    const below = this.#below(path);
    if (existing !== undefined) this.remove(path);
    this.#enter(path, 'open');
    writeFileSync(this.#disk(path), data, { flag: 'wx' });
    this.#upper.set(path, 'entry');
    if (existing === undefined || below === undefined) {
      chmodSync(this.#disk(path), mode);
      return;
    }
    const { uid, gid, xattrs } = below;
    this.setMetadata(path, { owner: { uid, gid }, mode: below.mode, xattrs });
  }

  /** Copies the data of a file on the local disk inside the kernel, sharing it where the file system can. */
  copyFile(from: string, path: string): void {
    this.#enter(path, 'open');
    copyFileSync(fsPath(from), this.#disk(path), constants.COPYFILE_FICLONE);
    this.#upper.set(path, 'entry');
  }

  /** Makes a regular file of a stream; memory stays that of one piece. */
  async streamFile(path: string, data: AsyncIterable<Uint8Array>): Promise<void> {
    this.#enter(path, 'open');
    this.#upper.set(path, 'entry');
    const fd = openSync(this.#disk(path), 'wx');
    try {
      for await (const chunk of data)
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    } finally {
      closeSync(fd);
    }
  }

  /** Gives a file written to this layer a second name. */
  link(existing: string, path: string): void {
    this.#enter(path, 'link');
    linkSync(this.#disk(existing), this.#disk(path));
    this.#upper.set(path, 'entry');
  }

  makeSymlink(target: string, path: string): void {
    if (this.lstat(path) !== undefined) throw fileError(`symlink ${target}`, path, 'EEXIST');
    this.#enter(path, 'symlink');
    symlinkSync(fsPath(target), this.#disk(path));
    this.#upper.set(path, 'entry');
  }

  makeNode(
    path: string,
    node: {
      readonly type: 'char' | 'block' | 'fifo';
      readonly mode: number;
      readonly device?: { readonly major: number; readonly minor: number };
    },
  ): void {
    // In a layer directory that would delete the name instead.
    if (node.type === 'char' && (node.device?.major ?? 0) === 0 && (node.device?.minor ?? 0) === 0)
      throw fileFailure(`mknod ${path}: a character device 0:0 cannot be kept in a layer`);
    this.#enter(path, 'mknod');
    makeNode(this.#dir + path, { type: node.type, mode: node.mode, ...node.device });
    this.#upper.set(path, 'entry');
  }

  /** Whether the file at a path was written to this layer (and can be linked to). */
  isOwn(path: string): boolean {
    return this.#upper.get(path) === 'entry';
  }

  /** Changes the metadata of an entry; one of the parents' directories is copied up first. */
  setMetadata(path: string, metadata: EntryMetadata): void {
    if (!this.#upper.has(path)) this.#copyUp(path);
    const { owner, mode, xattrs, mtimeNs } = metadata;
    if (owner !== undefined) lchownSync(this.#disk(path), owner.uid, owner.gid);
    if (mode !== undefined) chmodSync(this.#disk(path), mode);
    if (xattrs !== undefined) for (const [name, value] of xattrs) this.#setXattr(path, name, value);
    if (mtimeNs === undefined) return;
    if (this.#upper.get(path) === 'entry')
      setTimes(this.#dir + path, { atimeNs: mtimeNs, mtimeNs });
    else this.#times.set(path, mtimeNs);
  }

  /** Removes an entry and everything below it; no error when there is none. */
  remove(path: string): void {
    if (this.lstat(path) === undefined) return;
    const state = this.#upper.get(path);
    if (state !== undefined) {
      rmSync(this.#disk(path), { recursive: true, force: true });
      if (state !== 'entry') this.#forget(path);
      this.#upper.delete(path);
      this.#times.delete(path);
    }
    if (this.#below(path) !== undefined) this.#upper.set(path, 'gone');
  }

  /** Writes the marks of removed entries and the directories' times. */
  finish(): void {
    for (const [path, state] of [...this.#upper]) {
      if (state !== 'gone') continue;
      this.#copyUp(dirname(path));
      makeNode(this.#dir + path, { type: 'char', mode: 0, major: 0, minor: 0 });
    }
    for (const [path, mtimeNs] of [...this.#times].reverse())
      setTimes(this.#dir + path, { atimeNs: mtimeNs, mtimeNs });
  }

  /** Attributes of overlayfs itself would change what the layer means, and are no part of a file. */
  #setXattr(path: string, name: string, value: Uint8Array): void {
    if (/^(?:trusted|user)\.overlay\./.test(name)) return;
    setXattr(this.#dir + path, name, value);
  }

  #disk(path: string): string | Buffer {
    return fsPath(this.#dir + path);
  }

  /** Makes the parent directory ready for a new entry; returns what the layer said of the path so far. */
  #enter(path: string, call: string): Upper | undefined {
    const parent = dirname(path);
    const state = this.#upper.get(parent);
    if (state !== 'alone' && state !== 'merged') {
      const kind = this.lstat(parent);
      if (kind === undefined) throw fileError(call, path, 'ENOENT');
      if (kind.type !== 'dir') throw fileError(call, path, 'ENOTDIR');
      this.#copyUp(parent);
    }
    const own = this.#upper.get(path);
    const taken = own === undefined ? this.#below(path) !== undefined : own !== 'gone';
    if (taken) throw fileError(call, path, 'EEXIST');
    return own;
  }

  /** Copies directories of the parents, or makes an other entry's place in the layer. */
  #copyUp(path: string): void {
    const state = this.#upper.get(path);
    if (state !== undefined && state !== 'gone') return;
    const entry = this.#below(path);
    if (entry === undefined) throw fileError('lstat', path, 'ENOENT');
    if (entry.type !== 'dir') throw new Error(`${path} is not a directory and is not copied up`);
    this.#copyUp(dirname(path));
    mkdirSync(this.#disk(path));
    this.#upper.set(path, 'merged');
    const { uid, gid, mode, xattrs, mtimeNs } = entry;
    this.setMetadata(path, { owner: { uid, gid }, mode, xattrs, mtimeNs });
  }

  /** The parents' entry, when nothing written above it hides it. */
  #below(path: string): FileEntry | undefined {
    return path === '/' || this.#lowerShows(dirname(path)) ? this.#lower.lstat(path) : undefined;
  }

  #lowerShows(dir: string): boolean {
    for (let at = dir; ; at = dirname(at)) {
      const state = this.#upper.get(at);
      if (state === 'merged') return true;
      if (state !== undefined) return false;
    }
  }

  #onDisk(path: string): EntryKind {
    const stat = lstatSync(this.#disk(path), { bigint: true });
    const type: FileType = stat.isDirectory()
      ? 'dir'
      : stat.isSymbolicLink()
        ? 'symlink'
        : stat.isFile()
          ? 'file'
          : stat.isFIFO()
            ? 'fifo'
            : stat.isBlockDevice()
              ? 'block'
              : 'char';
    return {
      type,
      mode: Number(stat.mode & 0o7777n),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtimeNs: stat.mtimeNs,
      ...(type === 'symlink' ? { link: this.#linkOf(path) } : {}),
    };
  }

  #linkOf(path: string): string {
    return nameOfBytes(readlinkSync(this.#disk(path), { encoding: 'buffer' }));
  }

  #forget(dir: string): void {
    for (const path of [...this.#upper.keys()])
      if (path.startsWith(`${dir}/`)) {
        this.#upper.delete(path);
        this.#times.delete(path);
      }
  }
}
