import type { Digest } from '../base/index.ts';

/** Type of a directory entry. */
export type FileType = 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** Metadata of one entry of a file tree, as it would stand in a layer. */
export interface FileEntry {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a regular file; 0 otherwise. */
  readonly size: number;
  /** Nanoseconds since the Unix epoch. */
  readonly mtimeNs: bigint;
  /** Target of a symbolic link. */
  readonly link?: string;
  /** Device numbers of `char` and `block`. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** Extended attributes by name. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Entries with the same text are hard links to one file; absent when the file has one name. */
  readonly inode?: string;
}

/**
 * A read-only file tree: the merged view of a chain of layers, a local context, an index. Paths are absolute, clean, in
 * the text form of `nameOfBytes`; `/` is the root. Symbolic links are never followed here. Look-ups are synchronous: they
 * come from an index or from the local file system's cache.
 */
export interface FileTree {
  /** The entry at `path`, or undefined when absent. */
  lstat(path: string): FileEntry | undefined;
  /** Names in a directory in byte order; empty when absent or not a directory. */
  list(path: string): readonly string[];
  /**
   * BuildKit's digest of one entry (contenthash, `tarsum` header and data; hard links take their target's), never of a
   * subtree. For a regular file this reads the data unless the digest is known.
   */
  digest(path: string, signal: AbortSignal): Promise<Digest>;
  /** The data of a regular file. */
  read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The digest of an entry when it is known without reading anything. */
  knownDigest?(path: string): Digest | undefined;
  /**
   * All data of a small regular file in one call, checked against what the tree knows of it; undefined where it cannot be
   * had so. The bytes may be overwritten by the next call.
   */
  readNow?(path: string): Uint8Array | undefined;
  /** Where the data of a regular file lies on the local disk, when it does (for mounts and in-kernel copies). */
  diskPath(path: string): string | undefined;
  /**
   * BuildKit hashes the root directory of a tree received from a client as an empty record, that of a snapshot as any
   * directory.
   */
  readonly rootHeader: 'entry' | 'empty';
}
