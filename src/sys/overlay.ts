import { closeSync, constants, openSync, readSync } from 'node:fs';
import { bytesOfName, fsPath, isErrno } from '../base/index.ts';
import { AT_FDCWD, call, cString, must, systemError } from './libc.ts';
import { mount } from './mount.ts';

/** An overlay mount. */
export interface OverlayMount {
  /** Read-only layers, topmost first (the order of `lowerdir`). */
  readonly lower: readonly string[];
  /** Writable layer and its work directory on the same file system; absent: the mount is read-only. */
  readonly upper?: { readonly dir: string; readonly work: string };
  readonly target: string;
  /** `user.overlay.*` attributes instead of `trusted.overlay.*`: for mounts inside a user namespace. */
  readonly userXattrs?: boolean;
  /** Skips fsync on copy-up and unmount: the upper directory is thrown away after a crash anyway. */
  readonly volatile?: boolean;
}

const SET_FLAG = 0;
const SET_STRING = 1;
const CREATE = 6;
const CLOEXEC = 1;
const EMPTY_PATH = 4;
const ATTR_READONLY = 1;
/** fsconfig(2) takes strings of less than this many bytes. */
const STRING_LIMIT = 256;
/** The options of mount(2) must fit a page. */
const PAGE = 4096;
/** Open a directory only to name it. O_PATH is not among Node's constants; the value is the same on x86-64 and arm64. */
const O_PATH = 0o10000000;

/**
 * Mounts an overlay. Uses fsopen(2) with one `lowerdir+` a layer (Linux 6.5), so that hundreds of layers work; an older
 * kernel gets the option string of mount(2). Index, redirect_dir and metacopy are off, so that an upper directory is a
 * plain layer.
 */
export function mountOverlay(m: OverlayMount): void {
  if (m.lower.length === 0) throw new Error('an overlay needs a lower directory');
  using names = new ShortNames();
  if (!tryNewMount(m, names)) {
    const data = optionString(m, names);
    mount({
      source: 'overlay',
      target: m.target,
      type: 'overlay',
      flags: m.upper === undefined ? ['readonly'] : [],
      data,
    });
  }
}

/** False when the kernel lacks the calls or `lowerdir+`; any other failure is thrown with the kernel's own words. */
function tryNewMount(m: OverlayMount, names: ShortNames): boolean {
  const fs = call('fsopen', cString('overlay'), CLOEXEC);
  if (fs === -38 || fs === -1) return false;
  if (fs < 0) throw systemError(-fs, 'fsopen', m.target);
  try {
    const set = (key: string, value: string): void => {
      must('fsconfig', value, fs, SET_STRING, cString(key), cString(value), 0);
    };
    set('source', 'overlay');
    for (const [i, dir] of m.lower.entries()) {
      const value = names.of(dir, STRING_LIMIT);
      const result = call('fsconfig', fs, SET_STRING, cString('lowerdir+'), cString(value), 0);
      if (i === 0 && result === -22) return false;
      if (result < 0) throw systemError(-result, 'mount overlay', dir, kernelMessage(fs));
    }
    if (m.upper !== undefined) {
      set('upperdir', names.of(m.upper.dir, STRING_LIMIT));
      set('workdir', names.of(m.upper.work, STRING_LIMIT));
    }
    for (const [key, value] of switches(m)) {
      if (value !== undefined) set(key, value);
      else must('fsconfig', key, fs, SET_FLAG, cString(key), null, 0);
    }
    const made = call('fsconfig', fs, CREATE, null, null, 0);
    if (made < 0) throw systemError(-made, 'mount overlay', m.target, kernelMessage(fs));
    attach(fs, m);
    return true;
  } finally {
    closeSync(fs);
  }
}

function attach(fs: number, m: OverlayMount): void {
  const tree = must('fsmount', m.target, fs, CLOEXEC, m.upper === undefined ? ATTR_READONLY : 0);
  try {
    must('move_mount', m.target, tree, cString(''), AT_FDCWD, cString(m.target), EMPTY_PATH);
  } finally {
    closeSync(tree);
  }
}

/** What the file system wrote to the log of the mount being made: `overlay: ...` lines. */
function kernelMessage(fs: number): string | undefined {
  const buffer = new Uint8Array(1024);
  try {
    const length = readSync(fs, buffer);
    return Buffer.from(buffer.subarray(0, length)).toString().replace(/^\w /, '').trim();
  } catch (e) {
    if (isErrno(e, 'ENODATA')) return undefined;
    throw e;
  }
}

function switches(m: OverlayMount): (readonly [key: string, value: string | undefined])[] {
  const list: (readonly [string, string | undefined])[] = [];
  if (m.upper !== undefined) list.push(['index', 'off'], ['metacopy', 'off']);
  if (m.userXattrs === true) list.push(['userxattr', undefined]);
  else list.push(['redirect_dir', m.upper === undefined ? 'nofollow' : 'off']);
  if (m.volatile === true && m.upper !== undefined) list.push(['volatile', undefined]);
  return list;
}

function optionString(m: OverlayMount, names: ShortNames): string {
  const plain = (dir: string): string => names.of(dir, STRING_LIMIT, /[:,\\]/);
  const make = (name: (dir: string) => string): string =>
    [
      `lowerdir=${m.lower.map(name).join(':')}`,
      ...(m.upper === undefined
        ? []
        : [`upperdir=${name(m.upper.dir)}`, `workdir=${name(m.upper.work)}`]),
      ...switches(m).map(([key, value]) => (value === undefined ? key : `${key}=${value}`)),
    ].join(',');
  const text = make(plain);
  const short = bytesOfName(text).length < PAGE ? text : make((dir) => names.of(dir, 0));
  if (bytesOfName(short).length >= PAGE)
    throw systemError(
      7,
      'mount overlay',
      m.target,
      `${m.lower.length} layers are too many for this kernel`,
    );
  return short;
}

/** Short names for directories: `/proc/self/fd/N` of a descriptor that stays open until the mount is made. */
class ShortNames implements Disposable {
  readonly #open = new Map<string, number>();

  of(dir: string, limit: number, forbidden?: RegExp): string {
    if (bytesOfName(dir).length < limit && !(forbidden?.test(dir) ?? false)) return dir;
    const known = this.#open.get(dir);
    const fd = known ?? openSync(fsPath(dir), O_PATH | constants.O_DIRECTORY);
    this.#open.set(dir, fd);
    return `/proc/self/fd/${fd}`;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }
}
