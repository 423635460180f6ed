import { closeSync, openSync, readSync } from 'node:fs';
import { bytesOfName, fsPath, isErrno } from '../base/index.ts';
import { AT_FDCWD, call, cString, must, systemError } from './libc.ts';

const SET_FLAG = 0;
const SET_STRING = 1;
const CREATE = 6;
const CLOEXEC = 1;
const EMPTY_PATH = 4;
const ATTR_READONLY = 1;
const EINVAL = 22;
/** Open a file only to name it. O_PATH is not among Node's constants; the value is the same on x86-64 and arm64. */
const O_PATH = 0o10000000;

/** fsconfig(2) takes strings of less than this many bytes. */
export const STRING_LIMIT = 256;

/** A mount being made with fsopen(2) (Linux 5.2). Failures of the kernel carry its own words. */
export class FsContext implements Disposable {
  readonly #fd: number;
  readonly #what: string;

  private constructor(fd: number, what: string) {
    this.#fd = fd;
    this.#what = what;
  }

  /** Undefined when the kernel lacks the calls. */
  static open(type: string, target: string): FsContext | undefined {
    const fd = call('fsopen', cString(type), CLOEXEC);
    if (fd === -38 || fd === -1) return undefined;
    if (fd < 0) throw systemError(-fd, 'fsopen', target);
    return new FsContext(fd, `mount ${type}`);
  }

  /** Sets an option; without a value it is a flag. */
  set(key: string, value?: string): void {
    const result = this.#set(key, value);
    if (result < 0) throw this.#failed(-result, value ?? key);
  }

  /** As `set`; false when the kernel does not know the option. */
  trySet(key: string, value: string): boolean {
    const result = this.#set(key, value);
    if (result < 0 && result !== -EINVAL) throw this.#failed(-result, value);
    return result >= 0;
  }

  #set(key: string, value: string | undefined): number {
    return value === undefined
      ? call('fsconfig', this.#fd, SET_FLAG, cString(key), null, 0)
      : call('fsconfig', this.#fd, SET_STRING, cString(key), cString(value), 0);
  }

  /** Makes the file system and mounts it. */
  attach(target: string, options: { readonly readonly: boolean }): void {
    const made = call('fsconfig', this.#fd, CREATE, null, null, 0);
    if (made < 0) throw this.#failed(-made, target);
    const flags = options.readonly ? ATTR_READONLY : 0;
    const tree = must('fsmount', target, this.#fd, CLOEXEC, flags);
    try {
      must('move_mount', target, tree, cString(''), AT_FDCWD, cString(target), EMPTY_PATH);
    } finally {
      closeSync(tree);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #failed(errno: number, path: string): NodeJS.ErrnoException {
    return systemError(errno, this.#what, path, kernelMessage(this.#fd));
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

/** Short names for files: `/proc/self/fd/N` of a descriptor that stays open until the mount is made. */
export class ShortNames implements Disposable {
  readonly #open = new Map<string, number>();

  /** The path itself where it is shorter than `limit` and has no forbidden character. */
  of(path: string, limit: number, forbidden?: RegExp): string {
    if (bytesOfName(path).length < limit && !(forbidden?.test(path) ?? false)) return path;
    const known = this.#open.get(path);
    const fd = known ?? openSync(fsPath(path), O_PATH);
    this.#open.set(path, fd);
    return `/proc/self/fd/${fd}`;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }
}
