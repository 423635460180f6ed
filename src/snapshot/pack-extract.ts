import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { fsPath, isErrno, writeAllSync } from '../base/index.ts';
import type { FileEntry } from '../cachekey/index.ts';
import { makeNode, setTimes, setXattr } from '../sys/index.ts';
import { join } from './layer-path.ts';
import { entryFailure, setXattrs } from './member.ts';
import { LARGE, OPAQUE, PADDED } from './pack-index.ts';
import type { PackView } from './pack-view.ts';

/** How long the event loop may be held. */
const SLICE_MS = 15;

/** Makes the directory of a packed layer, in overlayfs form; `dir` exists and is empty. */
export async function extractPack(
  pack: PackView,
  to: { readonly dir: string; readonly userXattrs: boolean },
  signal: AbortSignal,
): Promise<void> {
  const extraction = new Extraction(pack, to.dir);
  let until = performance.now() + SLICE_MS;
  for (const [path, row] of pack.walk()) {
    if (performance.now() > until) {
      await new Promise(setImmediate);
      signal.throwIfAborted();
      until = performance.now() + SLICE_MS;
    }
    naming(path, () => extraction.add(path, row));
  }
  extraction.finish(`${to.userXattrs ? 'user' : 'trusted'}.overlay.opaque`);
}

class Extraction {
  readonly #pack: PackView;
  readonly #dir: string;
  /** First name of each file with several. */
  readonly #groups = new Map<number, string>();
  readonly #dirs: { readonly path: string; readonly row: number }[] = [];

  constructor(pack: PackView, dir: string) {
    this.#pack = pack;
    this.#dir = dir;
  }

  add(path: string, row: number): void {
    const { index } = this.#pack;
    const disk = join(this.#dir, path);
    const type = index.type(row);
    if (type === 'hidden') return;
    if (type === 'whiteout') {
      makeNode(disk, { type: 'char', mode: 0 });
      return;
    }
    if (type === 'dir') {
      if (row !== 0) mkdirSync(fsPath(disk), 0o700);
      this.#dirs.push({ path, row });
      return;
    }
    const group = index.group[row] ?? 0;
    const first = group === 0 ? undefined : this.#groups.get(group);
    if (first !== undefined) {
      linkSync(fsPath(first), fsPath(disk));
      return;
    }
    if (group !== 0) this.#groups.set(group, disk);
    make(this.#pack, row, disk);
  }

  /** Metadata of directories: every entry made in one changes its time, and its mode may alter or forbid what is made. */
  finish(opaque: string): void {
    for (const { path, row } of this.#dirs.reverse())
      naming(path, () => {
        const disk = join(this.#dir, path);
        const isOpaque = ((this.#pack.index.flags[row] ?? 0) & OPAQUE) !== 0;
        if (isOpaque) setXattr(disk, opaque, Buffer.from('y'));
        finish(disk, this.#pack.entry(row));
      });
  }
}

/** Names the entry in what went wrong with it. */
function naming(path: string, make: () => void): void {
  try {
    make();
  } catch (e) {
    throw entryFailure(path.slice(1), e);
  }
}

function make(pack: PackView, row: number, disk: string): void {
  const entry = pack.entry(row);
  switch (entry.type) {
    case 'file':
      if (((pack.index.flags[row] ?? 0) & LARGE) !== 0) makeLarge(pack, row, disk);
      else {
        writeParts(disk, pack.parts(row), entry);
        return;
      }
      break;
    case 'symlink':
      symlinkSync(fsPath(entry.link ?? ''), fsPath(disk));
      break;
    case 'char':
    case 'block':
    case 'fifo':
    case 'socket':
      makeNode(disk, { type: entry.type, mode: 0o600, ...entry.device });
      break;
    case 'dir':
      throw new Error(`${disk} is a directory`);
  }
  finish(disk, entry);
}

function writeParts(disk: string, parts: Iterable<Uint8Array>, entry: FileEntry): void {
  const fd = openSync(fsPath(disk), 'wx', 0o600);
  try {
    for (const part of parts) writeAllSync(fd, part);
    // Ownership first: chown(2) clears setuid, setgid and file capabilities.
    fchownSync(fd, entry.uid, entry.gid);
    fchmodSync(fd, entry.mode);
  } finally {
    closeSync(fd);
  }
  setXattrs(disk, entry.xattrs, 'file');
  setTimes(disk, { atimeNs: entry.mtimeNs, mtimeNs: entry.mtimeNs });
}

function makeLarge(pack: PackView, row: number, disk: string): void {
  const large = pack.largePath(row);
  if (((pack.index.flags[row] ?? 0) & PADDED) === 0) shareLarge(large, disk);
  else {
    copyFileSync(large, fsPath(disk), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    truncateSync(fsPath(disk), pack.index.size[row] ?? 0);
  }
}

/** Overlayfs never writes into a lower layer: the directory can share the file, whose metadata nobody else uses. */
function shareLarge(large: string, disk: string): void {
  try {
    linkSync(large, fsPath(disk));
  } catch (e) {
    if (!isErrno(e, 'EMLINK', 'EPERM', 'EXDEV')) throw e;
    copyFileSync(large, fsPath(disk), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  }
}

function finish(disk: string, entry: FileEntry): void {
  lchownSync(fsPath(disk), entry.uid, entry.gid);
  if (entry.type !== 'symlink') chmodSync(fsPath(disk), entry.mode);
  setXattrs(disk, entry.xattrs, entry.type);
  setTimes(disk, { atimeNs: entry.mtimeNs, mtimeNs: entry.mtimeNs });
}
