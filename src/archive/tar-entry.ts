/** Type of a tar member. */
export type TarType = 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

/** Everything a tar header says of one member; names and links are in the text form of `nameOfBytes`. */
export interface TarEntry {
  /** As it stands in the archive; a directory's usually ends with a slash. */
  readonly name: string;
  readonly type: TarType;
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow; 0 for all types but `file`. */
  readonly size: number;
  /** Nanoseconds since the Unix epoch. */
  readonly mtimeNs: bigint;
  /** Target of a symbolic or hard link. */
  readonly link?: string;
  /** Numbers of `char` and `block`. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** Extended attributes by name (PAX records `SCHILY.xattr.*`). */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  readonly uname?: string;
  readonly gname?: string;
}

/** Bytes of a tar block (POSIX.1-1988, "Extended tar Format"). */
export const BLOCK = 512;

/** PAX keyword prefix of extended attributes, as star, GNU tar and Go write them. */
export const XATTR_PREFIX = 'SCHILY.xattr.';

/** Offsets and lengths of the header fields (POSIX.1-1988 ustar). */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
} as const satisfies Readonly<Record<string, readonly [offset: number, length: number]>>;

/** The checksum of a header block: the sum of its bytes, those of the checksum field counted as spaces. */
export function headerChecksum(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i] ?? 0;
  return sum;
}

/** Number of zero bytes that follow `size` bytes of data. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
