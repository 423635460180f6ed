import {
  chmodSync,
  copyFileSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { fsPath, isErrno, nameOfBytes } from '../base/index.ts';
import { removeXattr, setTimes } from '../sys/index.ts';
import { DigestFile } from './digest-file.ts';
import { entryOf, isOpaque, isWhiteout, OVERLAY_XATTRS, statOf } from './disk-entry.ts';
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
    const own = new Map(typesIn(to).map(({ name, type }) => [name, type]));
    let added = false;
    for (const { name, type } of typesIn(join(lower, path))) {
      const at = join(path, name);
      if (!own.has(name)) {
        this.#copy(lower, { path: at, type }, known);
        added = true;
      } else if (own.get(name) === 'dir' && type === 'dir' && !this.#opaque.has(at))
        this.#merge(lower, at, known);
    }
    if (added && before !== undefined)
      setTimes(to, { atimeNs: before.atimeNs, mtimeNs: before.mtimeNs });
  }

  /** A file costs a link and nothing else: most of a tree is taken over. */
  #copy(
    lower: string,
    { path, type }: { readonly path: string; readonly type: Listed['type'] },
    known: DigestFile,
  ): void {
    const [from, to] = [join(lower, path), join(this.#upper, path)];
    if (type !== 'dir') {
      linkOrCopy(from, to);
      if (type === 'char' && isWhiteout(mustStat(from))) this.#gone.add(path);
      const digest = known.get(path);
      if (digest !== undefined) this.#digests.push(DigestFile.line(path, digest));
      return;
    }
    const stat = mustStat(from);
    mkdirSync(fsPath(to), 0o700);
    if (isOpaque(from)) this.#opaque.add(path);
    for (const inside of typesIn(from))
      this.#copy(lower, { path: join(path, inside.name), type: inside.type }, known);
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

/** A name and as much of its type as decides what is done with it. */
interface Listed {
  readonly name: string;
  readonly type: 'dir' | 'char' | 'other';
}

/** The entries of a directory of a layer; asking each for its type would cost a call more. */
function typesIn(dir: string): readonly Listed[] {
  return readdirSync(fsPath(dir), { withFileTypes: true, encoding: 'buffer' }).map((entry) => ({
    name: nameOfBytes(entry.name),
    type: entry.isDirectory() ? 'dir' : entry.isCharacterDevice() ? 'char' : 'other',
  }));
}

function mustStat(path: string): NonNullable<ReturnType<typeof statOf>> {
  const stat = statOf(path);
  if (stat === undefined) throw new Error(`${path} is listed and not there`);
  return stat;
}

/** A file that has as many names as its file system allows is copied. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(fsPath(from), fsPath(to));
  } catch (e) {
    const stat = mustStat(from);
    if (!isErrno(e, 'EMLINK') || !stat.isFile()) throw e;
    const entry = entryOf(from, stat);
    copyFileSync(fsPath(from), fsPath(to));
    lchownSync(fsPath(to), entry.uid, entry.gid);
    setXattrs(to, entry.xattrs, entry.type);
    chmodSync(fsPath(to), entry.mode);
    setTimes(to, { atimeNs: stat.mtimeNs, mtimeNs: stat.mtimeNs });
  }
}
