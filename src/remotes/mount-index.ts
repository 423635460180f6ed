import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { bytesOfName, type Digest, type GoJson, goJson, hexOf } from '../base/index.ts';

/** Version of the stored shape (docs/adr/0052). */
export const MOUNT_INDEX_VERSION = 1;

/**
 * The directory of a cache mount as it is kept elsewhere: what is in it, and where the bytes of its files are. Files are
 * content-defined chunks, each a zstd frame in a pack. Small files stand one behind the other in one stream of chunks.
 */
export interface MountIndex {
  /** 0, or when packs had to be written anew because those that were there were damaged (seconds since the epoch). */
  readonly generation: number;
  readonly packs: readonly MountPack[];
  readonly chunks: readonly MountChunk[];
  /** Chunks of the stream of small files, in order. */
  readonly small: readonly number[];
  /** The directory itself first; everything behind the directory it is in. */
  readonly entries: readonly MountEntry[];
}

/** A blob of several chunks. */
export interface MountPack {
  readonly digest: Digest;
  readonly size: number;
}

/** Bytes of files. */
export interface MountChunk {
  /** Of the uncompressed bytes. */
  readonly digest: Digest;
  readonly size: number;
  /** Index of its pack, and where in it the zstd frame lies. */
  readonly pack: number;
  readonly offset: number;
  readonly stored: number;
}

interface Owned {
  /** Relative, clean; empty for the directory itself. A name that is not UTF-8 is as `nameOfBytes` has it. */
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
}

/** Something in the directory. Modes hold no set-user-ID and, but for directories, no set-group-ID bit. */
export type MountEntry =
  | (Owned & { readonly type: 'dir'; readonly mode: number })
  | (Owned & {
      readonly type: 'file';
      readonly mode: number;
      readonly size: number;
      /** Its own chunks, or where in the stream of small files it begins. */
      readonly data: readonly number[] | number;
    })
  | (Owned & { readonly type: 'symlink'; readonly link: string })
  /** Another name of a file that stands before it. */
  | { readonly type: 'hardlink'; readonly path: string; readonly link: string };

const zstd = promisify(zstdCompress);

/** The bytes of an index: JSON, compressed. */
export async function encodeMountIndex(index: MountIndex): Promise<Uint8Array> {
  const { generation, packs, chunks, small, entries } = index;
  const json: GoJson = {
    version: MOUNT_INDEX_VERSION,
    generation,
    packs: packs.map(({ digest, size }) => [hexOf(digest), size]),
    chunks: chunks.map((c) => [hexOf(c.digest), c.size, c.pack, c.offset, c.stored]),
    small,
    entries: entries.map(entryJson),
  };
  const text = Buffer.from(goJson(json));
  return await zstd(text, { params: { [constants.ZSTD_c_compressionLevel]: 9 } });
}

function entryJson(entry: MountEntry): GoJson {
  const path = nameJson(entry.path);
  if (entry.type === 'hardlink') return ['h', path, nameJson(entry.link)];
  const { uid, gid } = entry;
  const time = String(entry.mtimeNs);
  switch (entry.type) {
    case 'dir':
      return ['d', path, uid, gid, time, entry.mode];
    case 'file':
      return ['f', path, uid, gid, time, entry.mode, entry.size, entry.data];
    case 'symlink':
      return ['l', path, uid, gid, time, nameJson(entry.link)];
  }
}

/** Text as it is; a name that is not UTF-8 as a list with its bytes in base64. */
function nameJson(name: string): GoJson {
  return name.isWellFormed() ? name : [Buffer.from(bytesOfName(name)).toString('base64')];
}
