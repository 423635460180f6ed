import { dirname } from 'node:path';
import { bytesOfName, byUtf8, resolveInRoot } from '../base/index.ts';
import type { FileEntry, FileTree, FileType } from '../cachekey/index.ts';
import type { PackedData, PackedEntry, PackedLayer } from '../ports/index.ts';
import { fileError, fileFailure } from './file-error.ts';

/** What an entry is, without what only a copy of it needs to know. */
export interface EntryKind {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly link?: string | undefined;
}

/** Metadata to give an entry; what is absent stays as it is. */
export interface EntryMetadata {
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Permission bits; not for symbolic links. */
  readonly mode?: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  readonly mtimeNs?: bigint;
}

/** A name of the parents that is gone. */
const GONE: PackedEntry = {
  type: 'whiteout',
  mode: 0,
  uid: 0,
  gid: 0,
  mtimeNs: 0n,
  xattrs: new Map(),
};

/** An entry of the layer. Names that are hard links to one file share it. */
class Node implements PackedEntry, EntryKind {
  readonly type: FileType;
  mode: number;
  uid = 0;
  gid = 0;
  mtimeNs: bigint;
  xattrs: ReadonlyMap<string, Uint8Array> = NO_XATTRS;
  link: string | undefined;
  device: PackedEntry['device'];
  data: PackedData | undefined;
  opaque = false;
  /** A directory that the parents have as well and that shows theirs. */
  merged = false;

  constructor(type: FileType, mode: number, mtimeNs: bigint) {
    this.type = type;
    this.mode = mode;
    this.mtimeNs = mtimeNs;
  }
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

/**
 * A layer being recorded: the merged view of the parents and of what was recorded so far, and changes to it in
 * the terms of overlayfs. Directories of the parents that changes go into are copied up with their metadata, times
 * included, so that the same change gives the same layer. `finish` completes it.
 */
export class FileLayer {
  readonly #layer: PackedLayer;
  readonly #lower: FileTree;
  readonly #nowNs: bigint;
  /** What the layer has: entries, or the mark that the parents' entry is gone. */
  readonly #upper = new Map<string, Node | typeof GONE>();

  /** `nowNs` is the time of entries that are given none. */
  constructor(layer: PackedLayer, nowNs: bigint) {
    this.#layer = layer;
    this.#lower = layer.lower;
    this.#nowNs = nowNs;
    const root = new Node('dir', 0o755, layer.lower.lstat('/')?.mtimeNs ?? nowNs);
    root.merged = true;
    this.#upper.set('/', root);
  }

  /** The entry at a path, not following a symbolic link there. */
  lstat(path: string): EntryKind | undefined {
    const own = this.#upper.get(path);
    if (own === undefined) return this.#below(path);
    return own instanceof Node ? own : undefined;
  }

  /** Names in a directory in byte order. */
  list(path: string): readonly string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = new Set(this.#lowerShows(path) ? this.#lower.list(path) : []);
    for (const [other, own] of this.#upper) {
      if (other === '/' || !other.startsWith(prefix)) continue;
      const name = other.slice(prefix.length);
      if (name.includes('/')) continue;
      if (own === GONE) names.delete(name);
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
    const opaque = this.#enter(path, 'mkdir') === GONE;
    this.#add(path, 'dir', mode).opaque = opaque;
  }

  /** Makes a regular file of bytes in memory, or gives an existing file new content. */
  writeFile(path: string, data: Uint8Array, mode: number): void {
    const existing = this.lstat(path);
    if (existing?.type === 'dir') throw fileError('open', path, 'EISDIR');
    const own = this.#upper.get(path);
    if (own instanceof Node && own.type === 'file') {
      own.data = this.#layer.write(data);
      own.mtimeNs = this.#nowNs;
      return;
    }
    const below = this.#below(path);
    if (existing !== undefined) this.remove(path);
    this.#enter(path, 'open');
    this.#add(path, 'file', mode).data = this.#layer.write(data);
    if (existing === undefined || below === undefined) return;
    const { uid, gid, xattrs } = below;
    this.setMetadata(path, { owner: { uid, gid }, mode: below.mode, xattrs });
  }

  /** Copies the data of a regular file of a tree. */
  async copyFile(
    from: { readonly tree: FileTree; readonly path: string; readonly entry: FileEntry },
    path: string,
    signal: AbortSignal,
  ): Promise<void> {
    this.#enter(path, 'open');
    const data = this.#layer.copy(from, signal);
    this.#add(path, 'file', 0o600).data = data instanceof Promise ? await data : data;
  }

  /** Makes a regular file of a stream; memory stays that of one piece. */
  async streamFile(path: string, data: AsyncIterable<Uint8Array>): Promise<void> {
    this.#enter(path, 'open');
    this.#add(path, 'file', 0o644).data = await this.#layer.stream(data);
  }

  /** Gives a file written to this layer a second name. */
  link(existing: string, path: string): void {
    const node = this.#upper.get(existing);
    if (node === undefined || node === GONE) throw fileError('link', existing, 'ENOENT');
    this.#enter(path, 'link');
    this.#upper.set(path, node);
  }

  makeSymlink(target: string, path: string): void {
    if (this.lstat(path) !== undefined) throw fileError(`symlink ${target}`, path, 'EEXIST');
    if (target === '') throw fileError('symlink', path, 'ENOENT');
    if (bytesOfName(target).length > MAX_LINK) throw fileError('symlink', path, 'ENAMETOOLONG');
    this.#enter(path, 'symlink');
    this.#add(path, 'symlink', 0o777).link = target;
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
    this.#add(path, node.type, node.mode).device = node.device;
  }

  /** Whether the file at a path was written to this layer (and can be linked to). */
  isOwn(path: string): boolean {
    const own = this.#upper.get(path);
    return own instanceof Node && own.type !== 'dir';
  }

  /** Changes the metadata of an entry; one of the parents' directories is copied up first. */
  setMetadata(path: string, metadata: EntryMetadata): void {
    const { owner, mode, xattrs, mtimeNs } = metadata;
    const node = this.#upper.get(path) ?? this.#copyUp(path);
    if (!(node instanceof Node)) throw fileError('lchown', path, 'ENOENT');
    if (owner !== undefined) {
      node.uid = owner.uid;
      node.gid = owner.gid;
    }
    if (mode !== undefined) node.mode = mode & 0o7777;
    if (xattrs !== undefined && xattrs.size > 0)
      node.xattrs = node.xattrs.size === 0 ? xattrs : new Map([...node.xattrs, ...xattrs]);
    if (mtimeNs !== undefined) node.mtimeNs = mtimeNs;
  }

  /** Removes an entry and everything below it; no error when there is none. */
  remove(path: string): void {
    if (this.lstat(path) === undefined) return;
    const own = this.#upper.get(path);
    if (own?.type === 'dir') this.#forget(path);
    this.#upper.delete(path);
    if (this.#below(path) !== undefined) this.#upper.set(path, GONE);
  }

  /** All entries of the layer. */
  finish(): ReadonlyMap<string, PackedEntry> {
    const gone: string[] = [];
    for (const [path, own] of this.#upper) if (own === GONE) gone.push(path);
    for (const path of gone) this.#copyUp(dirname(path));
    return this.#upper;
  }

  #add(path: string, type: FileType, mode: number): Node {
    const node = new Node(type, mode & 0o7777, this.#nowNs);
    this.#upper.set(path, node);
    return node;
  }

  /** Makes the parent directory ready for a new entry; returns what the layer said of the path so far. */
  #enter(path: string, call: string): Node | typeof GONE | undefined {
    const parent = dirname(path);
    if (this.#upper.get(parent)?.type !== 'dir') {
      const kind = this.lstat(parent);
      if (kind === undefined) throw fileError(call, path, 'ENOENT');
      if (kind.type !== 'dir') throw fileError(call, path, 'ENOTDIR');
      this.#copyUp(parent);
    }
    const own = this.#upper.get(path);
    checkName(path, call);
    const taken = own === undefined ? this.#below(path) !== undefined : own !== GONE;
    if (taken) throw fileError(call, path, 'EEXIST');
    return own;
  }

  /** Copies a directory of the parents and those above it. */
  #copyUp(path: string): Node {
    const own = this.#upper.get(path);
    if (own instanceof Node) return own;
    const entry = this.#below(path);
    if (entry === undefined) throw fileError('lstat', path, 'ENOENT');
    if (entry.type !== 'dir') throw new Error(`${path} is not a directory and is not copied up`);
    this.#copyUp(dirname(path));
    const dir = this.#add(path, 'dir', entry.mode);
    dir.merged = true;
    dir.uid = entry.uid;
    dir.gid = entry.gid;
    dir.xattrs = entry.xattrs;
    dir.mtimeNs = entry.mtimeNs;
    return dir;
  }

  /** The parents' entry, when nothing recorded above it hides it. */
  #below(path: string): FileEntry | undefined {
    return path === '/' || this.#lowerShows(dirname(path)) ? this.#lower.lstat(path) : undefined;
  }

  #lowerShows(dir: string): boolean {
    for (let at = dir; ; at = dirname(at)) {
      const own = this.#upper.get(at);
      if (own !== undefined) return own instanceof Node && own.merged;
    }
  }

  #forget(dir: string): void {
    for (const path of [...this.#upper.keys()])
      if (path.startsWith(`${dir}/`)) this.#upper.delete(path);
  }
}

/** Bytes of a name and of a link's target that file systems take (Linux: NAME_MAX, PATH_MAX without the NUL). */
const MAX_NAME = 255;
const MAX_LINK = 4095;

/** What no file system takes must not get into a layer that becomes a directory only later. */
function checkName(path: string, call: string): void {
  const length = path.length - path.lastIndexOf('/') - 1;
  // Each UTF-16 unit is at most three bytes.
  if (length * 3 <= MAX_NAME) return;
  if (bytesOfName(path.slice(-length)).length > MAX_NAME)
    throw fileError(call, path, 'ENAMETOOLONG');
}
