import type { BigIntStats } from 'node:fs';
import { readlinkSync } from 'node:fs';
import { type Digest, fsPath, nameOfBytes } from '../base/index.ts';
import type { FileEntry, FileType } from '../cachekey/index.ts';
import { deviceParts, readXattrs } from '../sys/index.ts';

/** What the kernel said of a file; equal identities mean equal content unless the clock was too coarse. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mode: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** One entry of a local tree. */
export interface LocalNode {
  readonly entry: FileEntry;
  readonly identity: FileIdentity;
  /** Names in a directory, in byte order; only what is part of the tree. */
  readonly names: string[];
  digest: Digest | undefined;
}

/**
 * The entry as a client of BuildKit sends it: owned by 0:0, sockets as empty files, links with mode 0777. Extended
 * attributes are read when somebody asks for them.
 */
export function localEntry(path: string, stat: BigIntStats): FileEntry {
  const type = typeOf(stat);
  const at = fsPath(path);
  let xattrs: ReadonlyMap<string, Uint8Array> | undefined;
  return {
    type,
    mode: type === 'symlink' ? 0o777 : Number(stat.mode & 0o7777n),
    uid: 0,
    gid: 0,
    size: type === 'file' && !stat.isSocket() ? Number(stat.size) : 0,
    mtimeNs: stat.mtimeNs,
    ...(type === 'symlink' ? { link: nameOfBytes(readlinkSync(at, 'buffer')) } : {}),
    ...(type === 'char' || type === 'block' ? { device: deviceParts(stat.rdev) } : {}),
    ...(type === 'file' && stat.nlink > 1n ? { inode: `${stat.dev}:${stat.ino}` } : {}),
    // An own accessor, so that copies made by spreading carry the value.
    get xattrs(): ReadonlyMap<string, Uint8Array> {
      xattrs ??= readXattrs(path);
      return xattrs;
    },
  };
}

/** The identity of a stat result. */
export function identityOf(stat: BigIntStats): FileIdentity {
  const { dev, ino, size, mode, mtimeNs, ctimeNs } = stat;
  return { dev, ino, size, mode, mtimeNs, ctimeNs };
}

/** Whether two identities are the same file in the same state. */
export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return (
    a.ino === b.ino &&
    a.ctimeNs === b.ctimeNs &&
    a.mtimeNs === b.mtimeNs &&
    a.size === b.size &&
    a.mode === b.mode &&
    a.dev === b.dev
  );
}

function typeOf(stat: BigIntStats): FileType {
  if (stat.isFile() || stat.isSocket()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'char';
  return stat.isBlockDevice() ? 'block' : 'fifo';
}
