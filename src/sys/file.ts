import { closeSync, openSync } from 'node:fs';
import { fsPath } from '../base/index.ts';
import { AT_FDCWD, call, cString, must, systemError } from './libc.ts';

const AT_SYMLINK_NOFOLLOW = 0x100;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_NOWAIT = 4;
const LOCK_RELEASE = 8;
const EAGAIN = 11;
const ENXIO = 6;
const O_CLOEXEC = 0o2000000;
const SEEK = { start: 0, data: 3, hole: 4 } as const;

const TYPE_BITS = { char: 0o020000, block: 0o060000, fifo: 0o010000, socket: 0o140000 } as const;

/** Makes a device node, named pipe or socket; `mode` is subject to the umask, as in mknod(2). */
export function makeNode(
  path: string,
  node: {
    readonly type: keyof typeof TYPE_BITS;
    readonly mode: number;
    readonly major?: number;
    readonly minor?: number;
  },
): void {
  const device = deviceNumber(node.major ?? 0, node.minor ?? 0);
  must('mknod', path, cString(path), TYPE_BITS[node.type] | (node.mode & 0o7777), device);
}

/** A pipe (pipe2(2)) that other programs do not inherit unless it is handed to them. Node's own are pairs of sockets. */
export function makePipe(): { readonly read: number; readonly write: number } {
  const ends = new Int32Array(2);
  must('pipe2', undefined, new Uint8Array(ends.buffer), O_CLOEXEC);
  const [read = -1, write = -1] = ends;
  return { read, write };
}

/** `dev_t` of the C library: 12 + 20 bits of major and minor, interleaved (makedev(3)). */
export function deviceNumber(major: number, minor: number): bigint {
  const [a, b] = [BigInt(major), BigInt(minor)];
  return (
    ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn)
  );
}

/** Major and minor number of a `dev_t` as `lstat` with bigint returns it in `rdev`. */
export function deviceParts(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn)),
    minor: Number(((device >> 12n) & 0xffffff00n) | (device & 0xffn)),
  };
}

/** Renames; fails with EEXIST when `to` exists (`noreplace`), or swaps the two in one step (`exchange`). */
export function renameWith(from: string, to: string, how: 'noreplace' | 'exchange'): void {
  const flags = how === 'noreplace' ? RENAME_NOREPLACE : RENAME_EXCHANGE;
  must('renameat2', to, AT_FDCWD, cString(from), AT_FDCWD, cString(to), flags);
}

/** Sets access and modification time of `path` itself (links are not followed) in nanoseconds since the epoch. */
export function setTimes(
  path: string,
  times: { readonly atimeNs: bigint; readonly mtimeNs: bigint },
): void {
  const spec = new DataView(new ArrayBuffer(32));
  [times.atimeNs, times.mtimeNs].forEach((ns, i) => {
    const nanos = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    spec.setBigInt64(i * 16, (ns - nanos) / 1_000_000_000n, true);
    spec.setBigInt64(i * 16 + 8, nanos, true);
  });
  must(
    'utimensat',
    path,
    AT_FDCWD,
    cString(path),
    new Uint8Array(spec.buffer),
    AT_SYMLINK_NOFOLLOW,
  );
}

/** Takes an advisory lock on an open file without waiting; false when another open file holds it (flock(2)). */
export function tryLock(fd: number, how: 'shared' | 'exclusive'): boolean {
  const kind = how === 'shared' ? LOCK_SHARED : LOCK_EXCLUSIVE;
  const result = call('flock', fd, kind | LOCK_NOWAIT);
  if (result === -EAGAIN) return false;
  if (result < 0) throw systemError(-result, 'flock');
  return true;
}

/** Releases the advisory lock of an open file. */
export function unlock(fd: number): void {
  must('flock', undefined, fd, LOCK_RELEASE);
}

/** Writes everything of the file system that holds `path` to its device (syncfs(2)): one call for thousands of files. */
export function syncFileSystem(path: string): void {
  const fd = openSync(fsPath(path), 'r');
  try {
    must('syncfs', path, fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Copies up to `length` bytes at the files' positions inside the kernel (shared extents where the file system has them);
 * returns how many, 0 at the end of the source. EXDEV, EINVAL and EOPNOTSUPP mean: copy by reading and writing.
 */
export function copyRange(fromFd: number, toFd: number, length: number): number {
  return must('copy_file_range', undefined, fromFd, null, toFd, null, length, 0);
}

/**
 * Moves the position of an open file to `from`, or to the first data or hole from there on (lseek(2)), and returns it;
 * undefined when there is no more data.
 */
export function seek(fd: number, from: number, to: keyof typeof SEEK): number | undefined {
  const result = call('lseek', fd, from, SEEK[to]);
  if (result === -ENXIO) return undefined;
  if (result < 0) throw systemError(-result, 'lseek');
  return result;
}
