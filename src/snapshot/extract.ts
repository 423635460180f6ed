import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { quoted, type TarEntry, TarReader } from '../archive/index.ts';
import {
  err,
  FailureError,
  fsPath,
  nameOfBytes,
  ok,
  type Result,
  resolveInRoot,
  writeAllSync,
} from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import { makeNode, setTimes, setXattr } from '../sys/index.ts';
import { copyData } from './copy-data.ts';
import { isWhiteout, statOf } from './disk-entry.ts';
import { join, parentOf } from './layer-path.ts';
import { cleanName, climbsOut, entryFailure, refused, setXattrs } from './member.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** What an extraction found out. */
export interface Extracted {
  /** The layer's directories or links took something from the layers below: other layers below give other results. */
  readonly dependsOnLower: boolean;
}

/**
 * Extracts layer tars (OCI image-spec, layer.md) into a directory of its own in overlayfs form. `dir` must be empty and
 * private; nothing outside is touched whatever the archive says: names are resolved inside `dir`, links in the way are
 * followed there only, and names that climb out are refused.
 */
export class LayerExtractor {
  readonly #dir: string;
  readonly #lower: FileTree;
  readonly #opaqueName: string;
  /** Directories known to exist on disk (real ones, no links). */
  readonly #dirs = new Set<string>(['/']);
  /** Times of directories, set last because every entry made in one changes them. */
  readonly #times = new Map<string, bigint>();
  #dependsOnLower = false;

  constructor(options: {
    readonly dir: string;
    readonly lower: FileTree;
    readonly userXattrs: boolean;
  }) {
    this.#dir = options.dir;
    this.#lower = options.lower;
    this.#opaqueName = options.userXattrs ? 'user.overlay.opaque' : 'trusted.overlay.opaque';
  }

  /** Reads the whole stream, also what follows the end of the archive. */
  async extract(tar: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Result<Extracted>> {
    const reader = new TarReader(tar);
    try {
      for (;;) {
        signal.throwIfAborted();
        const next = await reader.next();
        if (!next.ok) return next;
        if (next.value === undefined) break;
        await this.#member(next.value, reader, signal);
      }
      await reader.drain();
    } catch (e) {
      if (e instanceof FailureError) return err(e.failure);
      throw e;
    } finally {
      await reader.close();
    }
    for (const [path, mtimeNs] of [...this.#times].reverse())
      setTimes(join(this.#dir, path), { atimeNs: mtimeNs, mtimeNs });
    return ok({ dependsOnLower: this.#dependsOnLower });
  }

  async #member(member: TarEntry, reader: TarReader, signal: AbortSignal): Promise<void> {
    try {
      const name = cleanName(member.name, member.name);
      if (name === '/') return;
      const parent = this.#parent(parentOf(name), member.name);
      const base = name.slice(name.lastIndexOf('/') + 1);
      const path = join(parent, base);
      if (base === OPAQUE) this.#makeOpaque(parent);
      else if (base.startsWith(WHITEOUT)) this.#whiteout(parent, base, member.name);
      else if (member.type === 'hardlink') await this.#hardLink(member, path, signal);
      else await this.#entry(member, path, reader);
    } catch (e) {
      throw entryFailure(member.name, e);
    }
  }

  async #entry(member: TarEntry, path: string, reader: TarReader): Promise<void> {
    const disk = join(this.#dir, path);
    const hidLower = this.#clear(path, member.type === 'dir');
    switch (member.type) {
      case 'dir':
        if (!this.#dirs.has(path)) mkdirSync(fsPath(disk), 0o700);
        this.#dirs.add(path);
        if (hidLower) this.#makeOpaque(path);
        break;
      case 'file':
        await this.#file(member, disk, reader);
        return;
      case 'symlink':
        symlinkSync(fsPath(member.link ?? ''), fsPath(disk));
        break;
      case 'char':
      case 'block':
      case 'fifo':
        if (member.type === 'char' && member.device?.major === 0 && member.device.minor === 0)
          throw refused('a character device 0:0 would delete the name from the layers below');
        makeNode(disk, { type: member.type, mode: 0o600, ...member.device });
        break;
      case 'hardlink':
        throw new Error('hard links are made elsewhere');
    }
    lchownSync(fsPath(disk), member.uid, member.gid);
    if (member.type !== 'symlink') chmodSync(fsPath(disk), member.mode);
    setXattrs(disk, member.xattrs, member.type);
    if (member.type === 'dir') this.#times.set(path, member.mtimeNs);
    else setTimes(disk, { atimeNs: member.mtimeNs, mtimeNs: member.mtimeNs });
  }

  async #file(member: TarEntry, disk: string, reader: TarReader): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = openSync(fsPath(disk), flags, 0o600);
    try {
      const whole = reader.dataNow();
      if (whole !== undefined) writeAllSync(fd, whole);
      else for await (const chunk of reader.data()) writeAllSync(fd, chunk);
      // Ownership first: chown(2) clears setuid, setgid and file capabilities.
      fchownSync(fd, member.uid, member.gid);
      fchmodSync(fd, member.mode);
    } finally {
      closeSync(fd);
    }
    setXattrs(disk, member.xattrs, 'file');
    setTimes(disk, { atimeNs: member.mtimeNs, mtimeNs: member.mtimeNs });
  }

  /** Removes what the layer has at `path` already; true when a whiteout stood there. A directory stays for a directory. */
  #clear(path: string, forDirectory: boolean): boolean {
    if (forDirectory && this.#dirs.has(path)) return false;
    const disk = join(this.#dir, path);
    const stat = statOf(disk);
    if (stat === undefined) return false;
    if (stat.isDirectory() && forDirectory) {
      this.#dirs.add(path);
      return false;
    }
    rmSync(fsPath(disk), { recursive: true });
    for (const known of this.#dirs)
      if (known === path || known.startsWith(`${path}/`)) this.#dirs.delete(known);
    for (const known of this.#times.keys())
      if (known === path || known.startsWith(`${path}/`)) this.#times.delete(known);
    return isWhiteout(stat);
  }

  #whiteout(parent: string, base: string, name: string): void {
    const hidden = base.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw refused(`${quoted(name)} names nothing that could be deleted`);
    // Names that start with `.wh..wh.` are notes of aufs about itself.
    if (hidden.startsWith(WHITEOUT)) return;
    const path = join(parent, hidden);
    const stat = statOf(join(this.#dir, path));
    if (stat === undefined) makeNode(join(this.#dir, path), { type: 'char', mode: 0 });
    // A whiteout speaks of lower layers only: what this layer itself has stays, without what is below.
    else if (stat.isDirectory()) this.#makeOpaque(path);
  }

  #makeOpaque(path: string): void {
    if (path === '/') throw refused('the root directory cannot be opaque in a layer directory');
    setXattr(join(this.#dir, path), this.#opaqueName, Buffer.from('y'));
  }

  async #hardLink(member: TarEntry, path: string, signal: AbortSignal): Promise<void> {
    const wanted = cleanName(member.link ?? '', member.name);
    const parent = this.#parent(parentOf(wanted), member.name);
    const target = join(parent, wanted.slice(wanted.lastIndexOf('/') + 1));
    if (target === path) return;
    const stat = statOf(join(this.#dir, target));
    if (stat === undefined) await this.#copyUp(target, member, signal);
    else if (stat.isDirectory() || isWhiteout(stat))
      throw refused(`its link target ${quoted(member.link ?? '')} is a directory or deleted`);
    this.#clear(path, false);
    linkSync(fsPath(join(this.#dir, target)), fsPath(join(this.#dir, path)));
  }

  /** Brings a file of a lower layer into this one, so that a link to it can be made. */
  async #copyUp(path: string, member: TarEntry, signal: AbortSignal): Promise<void> {
    this.#dependsOnLower = true;
    const entry = this.#lower.lstat(path);
    const disk = join(this.#dir, path);
    if (entry === undefined || entry.type === 'dir')
      throw refused(`its link target ${quoted(member.link ?? '')} is not there`);
    if (entry.type === 'symlink') symlinkSync(fsPath(entry.link ?? ''), fsPath(disk));
    else if (entry.type === 'file') await copyData(this.#lower, path, disk, signal);
    else makeNode(disk, { type: entry.type, mode: 0o600, ...entry.device });
    this.#copyMetadata(disk, entry);
    setTimes(disk, { atimeNs: entry.mtimeNs, mtimeNs: entry.mtimeNs });
  }

  #copyMetadata(disk: string, entry: FileEntry): void {
    lchownSync(fsPath(disk), entry.uid, entry.gid);
    if (entry.type !== 'symlink') chmodSync(fsPath(disk), entry.mode);
    setXattrs(disk, entry.xattrs, entry.type);
  }

  /** The real directory that `path` means inside the layer; made, with the metadata it has below, where it is missing. */
  #parent(path: string, name: string): string {
    if (this.#dirs.has(path)) return path;
    const real = resolveInRoot(path, (at) => {
      if (this.#dirs.has(at)) return undefined;
      const disk = join(this.#dir, at);
      if (statOf(disk)?.isSymbolicLink() !== true) return undefined;
      const target = nameOfBytes(readlinkSync(fsPath(disk), 'buffer'));
      if (climbsOut(at, target))
        throw refused(`${quoted(name)} leads out of the root through the link ${quoted(at)}`);
      return target;
    });
    if (real === undefined) throw refused('there are too many symbolic links in the way');
    this.#makeDirs(real);
    return real;
  }

  #makeDirs(path: string): void {
    if (this.#dirs.has(path)) return;
    this.#makeDirs(parentOf(path));
    const disk = join(this.#dir, path);
    const stat = statOf(disk);
    if (stat !== undefined && !isWhiteout(stat)) {
      if (!stat.isDirectory()) throw refused(`${quoted(path)} is in the way and no directory`);
      this.#dirs.add(path);
      return;
    }
    const hidden = stat !== undefined;
    if (hidden) rmSync(fsPath(disk));
    mkdirSync(fsPath(disk), 0o700);
    this.#dependsOnLower = true;
    const below = hidden ? undefined : this.#lower.lstat(path);
    if (below?.type === 'dir') this.#copyMetadata(disk, below);
    else chmodSync(fsPath(disk), 0o755);
    if (hidden) this.#makeOpaque(path);
    this.#dirs.add(path);
    this.#times.set(path, below?.type === 'dir' ? below.mtimeNs : 0n);
  }
}
