import { type BigIntStats, lstatSync, readlinkSync } from 'node:fs';
import { fsPath, isErrno, nameOfBytes } from '../base/index.ts';
import type { FileEntry, FileType } from '../cachekey/index.ts';
import { deviceParts, getXattr, readXattrs } from '../sys/index.ts';

/** Attributes that overlayfs keeps for itself; they are no part of a layer (Linux, overlayfs.rst). */
export const OVERLAY_XATTRS: readonly string[] = ['trusted.overlay.', 'user.overlay.'];

const TYPES: Readonly<Record<number, FileType>> = {
  0o100000: 'file',
  0o040000: 'dir',
  0o120000: 'symlink',
  0o020000: 'char',
  0o060000: 'block',
  0o010000: 'fifo',
  0o140000: 'socket',
};

/** `lstat` of a path on disk, or undefined where there is nothing. */
export function statOf(disk: string): BigIntStats | undefined {
  try {
    return lstatSync(fsPath(disk), { bigint: true, throwIfNoEntry: false });
  } catch (e) {
    if (isErrno(e, 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw e;
  }
}

/** Type of a directory entry by its mode. */
export function typeOf(stat: BigIntStats): FileType {
  const type = TYPES[Number(stat.mode) & 0o170000];
  if (type === undefined) throw new Error(`unknown file type in mode ${stat.mode.toString(8)}`);
  return type;
}

/** Whether an entry of a layer directory says that the name is deleted: a character device 0:0. */
export function isWhiteout(stat: BigIntStats): boolean {
  return stat.rdev === 0n && stat.isCharacterDevice();
}

/** Whether a directory of a layer hides what lower layers have below it. */
export function isOpaque(disk: string): boolean {
  return OVERLAY_XATTRS.some((prefix) => getXattr(disk, `${prefix}opaque`)?.[0] === 0x79);
}

/** The entry at a path on disk. */
export function entryOf(disk: string, stat: BigIntStats): FileEntry {
  const type = typeOf(stat);
  const xattrs = readXattrs(disk);
  for (const name of xattrs.keys())
    if (OVERLAY_XATTRS.some((prefix) => name.startsWith(prefix))) xattrs.delete(name);
  return {
    type,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: type === 'file' ? Number(stat.size) : 0,
    mtimeNs: stat.mtimeNs,
    xattrs,
    ...(type === 'symlink' ? { link: nameOfBytes(readlinkSync(fsPath(disk), 'buffer')) } : {}),
    ...(type === 'char' || type === 'block' ? { device: deviceParts(stat.rdev) } : {}),
    ...(type !== 'dir' && stat.nlink > 1n ? { inode: `${stat.dev}:${stat.ino}` } : {}),
  };
}
