import type { InodeType } from '../base/index.ts';

/*
 * ext4 as the kernel documents it (Documentation/filesystems/ext4), with blocks of 4096 bytes, inodes of 256 bytes, group
 * descriptors of 64 bytes, extents and checksums of all metadata. Directories are not indexed by hash.
 */
export const BLOCK = 4096;
export const INODE = 256;
/** Blocks of a group: one bitmap's worth. */
export const GROUP = BLOCK * 8;
export const DESCRIPTOR = 64;
export const ROOT_INODE = 2;
export const JOURNAL_INODE = 8;
/** The first number that is not reserved. */
export const FIRST_INODE = 11;
/** Most blocks of one extent. */
export const EXTENT_BLOCKS = 32_768;

/** One entry of a tree. */
export interface Ext4Node {
  readonly type: InodeType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a regular file. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly link?: string;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Entries with the same text are names of one file. */
  readonly inode?: string;
}

/** The data of one regular file, read from its beginning. */
export interface Ext4Data extends Disposable {
  /** Reads up to `length` bytes to a place in a buffer, and answers how many; 0 at the end. */
  read(into: Buffer, at: number, length: number): number | Promise<number>;
}

/** What a file system is made of. Paths are absolute, names in the text form of `nameOfBytes`. */
export interface Ext4Source {
  lstat(path: string): Ext4Node | undefined;
  /** Names in a directory, in byte order. */
  list(path: string): readonly string[];
  open(path: string): Ext4Data;
}

/** Where a file system is written: every byte once; what is not written reads as zeros. */
export interface Ext4Target {
  write(bytes: Uint8Array, position: number): void;
}

/** Options of `writeExt4`. */
export interface Ext4Options {
  /** Bytes of the partition; absent: as many as the content needs, with some room. */
  readonly size?: number;
  /** 16 bytes that name the file system. */
  readonly uuid: Uint8Array;
  readonly label: string;
  /** Seconds since the epoch: all times, but for those of files that changed before it. */
  readonly epoch: number;
  readonly signal: AbortSignal;
}

/** The content does not go into a file system, and why. */
export class DoesNotFit extends Error {}
