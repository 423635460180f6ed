import type { BigIntStats } from 'node:fs';
import { readlinkSync } from 'node:fs';
import { type Digest, fsPath, nameOfBytes } from '../base/index.ts';
import type { FileEntry, FileType } from '../cachekey/index.ts';
import { deviceParts, readXattrs } from '../sys/index.ts';

/** One entry of a local tree. */
export interface LocalNode {
  readonly entry: LocalEntry;
  /** Its row in the tree's `Identities`. */
  readonly identity: number;
  /** Names in a directory, in byte order; only what is part of the tree. */
  readonly names: string[];
  digest: Digest | undefined;
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

/**
 * The entry as a client of BuildKit sends it: owned by 0:0, sockets as empty files, links with mode 0777. Extended
 * attributes are read when somebody asks for them, unless it is known that there are none.
 */
export class LocalEntry implements FileEntry {
  readonly type: FileType;
  readonly mode: number;
  readonly uid = 0;
  readonly gid = 0;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly link?: string;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly inode?: string;
  /** Where to read the attributes, or what was read. */
  #xattrs: string | ReadonlyMap<string, Uint8Array>;

  constructor(path: string, stat: BigIntStats) {
    const type = typeOf(stat);
    this.type = type;
    this.mode = type === 'symlink' ? 0o777 : Number(stat.mode & 0o7777n);
    this.size = type === 'file' && !stat.isSocket() ? Number(stat.size) : 0;
    this.mtimeNs = stat.mtimeNs;
    if (type === 'symlink') this.link = nameOfBytes(readlinkSync(fsPath(path), 'buffer'));
    if (type === 'char' || type === 'block') this.device = deviceParts(stat.rdev);
    if (type === 'file' && stat.nlink > 1n) this.inode = `${stat.dev}:${stat.ino}`;
    this.#xattrs = path;
  }

  get xattrs(): ReadonlyMap<string, Uint8Array> {
    if (typeof this.#xattrs === 'string') {
      const found = readXattrs(this.#xattrs);
      this.#xattrs = found.size === 0 ? NO_XATTRS : found;
    }
    return this.#xattrs;
  }

  /** Whether the attributes were read and there are none. */
  get isKnownPlain(): boolean {
    return this.#xattrs === NO_XATTRS;
  }

  /** There are no attributes: nobody needs to look. */
  setPlain(): void {
    this.#xattrs = NO_XATTRS;
  }
}

function typeOf(stat: BigIntStats): FileType {
  if (stat.isFile() || stat.isSocket()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'char';
  return stat.isBlockDevice() ? 'block' : 'fifo';
}
