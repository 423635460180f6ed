import {
  chmodSync,
  copyFileSync,
  lchownSync,
  linkSync,
  mkdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { fsPath, isErrno } from '../base/index.ts';
import { removeXattr, setTimes } from '../sys/index.ts';
import { DigestFile } from './digest-file.ts';
import { entryOf, isOpaque, isWhiteout, OVERLAY_XATTRS, statOf, typeOf } from './disk-entry.ts';
import { join, namesIn, parentOf } from './layer-path.ts';
import { setXattrs } from './member.ts';

/**
 * Gives the directory of a layer what the layers below it have: afterwards it is the whole tree and names nothing as gone.
 * Files are hard links to those of the layers below (nobody changes either), directories are made with the same metadata.
 * What is known of the content of a file that is taken over stays known. `lowers` are `fs` directories, lowest first.
 */
export function takeIn(lowers: readonly string[], upper: string): void {
  const whole = new Taking(upper);
  for (const lower of lowers.toReversed()) whole.from(lower);
  whole.finish();
}

class Taking {
  readonly #upper: string;
  readonly #gone = new Set<string>();
  readonly #opaque = new Set<string>();
  /** Digests by path, of files taken over. */
  readonly #digests: string[] = [];

  constructor(upper: string) {
    this.#upper = upper;
    this.#mark('/');
  }

  /** Notes what hides something below a directory that is there already. */
  #mark(path: string): void {
    const disk = join(this.#upper, path);
    if (path !== '/' && isOpaque(disk)) this.#opaque.add(path);
    for (const name of namesIn(disk)) {
      const at = join(path, name);
      const stat = statOf(join(this.#upper, at));
      if (stat === undefined) continue;
      if (isWhiteout(stat)) this.#gone.add(at);
      else if (stat.isDirectory()) this.#mark(at);
    }
  }

  from(lower: string): void {
    const known = new DigestFile(join(parentOf(lower), 'digests'));
    this.#merge(lower, '/', known);
  }

  /** Both have the directory. */
  #merge(lower: string, path: string, known: DigestFile): void {
    const to = join(this.#upper, path);
    const before = statOf(to);
    let added = false;
    for (const name of namesIn(join(lower, path))) {
      const at = join(path, name);
      const [below, own] = [statOf(join(lower, at)), statOf(join(this.#upper, at))];
      if (below === undefined) continue;
      if (own === undefined) {
        this.#copy(lower, at, known);
        added = true;
      } else if (own.isDirectory() && below.isDirectory() && !this.#opaque.has(at))
        this.#merge(lower, at, known);
    }
    if (added && before !== undefined)
      setTimes(to, { atimeNs: before.atimeNs, mtimeNs: before.mtimeNs });
  }

  #copy(lower: string, path: string, known: DigestFile): void {
    const [from, to] = [join(lower, path), join(this.#upper, path)];
    const stat = statOf(from);
    if (stat === undefined) return;
    if (typeOf(stat) !== 'dir') {
      linkOrCopy(from, to, stat);
      if (isWhiteout(stat)) this.#gone.add(path);
      const digest = known.get(path);
      if (digest !== undefined) this.#digests.push(DigestFile.line(path, digest));
      return;
    }
    mkdirSync(fsPath(to), 0o700);
    if (isOpaque(from)) this.#opaque.add(path);
    for (const name of namesIn(from)) this.#copy(lower, join(path, name), known);
    const entry = entryOf(from, stat);
    lchownSync(fsPath(to), entry.uid, entry.gid);
    setXattrs(to, entry.xattrs, entry.type);
    chmodSync(fsPath(to), entry.mode);
    setTimes(to, { atimeNs: stat.mtimeNs, mtimeNs: stat.mtimeNs });
  }

  finish(): void {
    for (const path of this.#gone) this.#keepingTime(path, (disk) => unlinkSync(fsPath(disk)));
    for (const path of this.#opaque)
      for (const prefix of OVERLAY_XATTRS)
        if (isOpaque(join(this.#upper, path)))
          removeXattr(join(this.#upper, path), `${prefix}opaque`);
    if (this.#digests.length > 0)
      writeFileSync(join(parentOf(this.#upper), 'digests'), this.#digests.join(''));
  }

  /** The time of a directory is that of the last change which a step made, not of the removal of a mark. */
  #keepingTime(path: string, change: (disk: string) => void): void {
    const dir = join(this.#upper, parentOf(path));
    const before = statOf(dir);
    change(join(this.#upper, path));
    if (before !== undefined) setTimes(dir, { atimeNs: before.atimeNs, mtimeNs: before.mtimeNs });
  }
}

/** A file that has as many names as its file system allows is copied. */
function linkOrCopy(from: string, to: string, stat: NonNullable<ReturnType<typeof statOf>>): void {
  try {
    linkSync(fsPath(from), fsPath(to));
  } catch (e) {
    if (!isErrno(e, 'EMLINK') || !stat.isFile()) throw e;
    const entry = entryOf(from, stat);
    copyFileSync(fsPath(from), fsPath(to));
    lchownSync(fsPath(to), entry.uid, entry.gid);
    setXattrs(to, entry.xattrs, entry.type);
    chmodSync(fsPath(to), entry.mode);
    setTimes(to, { atimeNs: stat.mtimeNs, mtimeNs: stat.mtimeNs });
  }
}
