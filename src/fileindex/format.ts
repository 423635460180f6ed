import type { FileType } from '../cachekey/index.ts';

/*
 * The text of an index (`FILE_INDEX_MEDIA_TYPE`, zstd): `{"version":1,"layers":[{"diffID":…,"entries":[…]}]}`; an entry is
 * `[path, "w"]` for a removal, else `[path, type, mode, uid, gid, size, time, more?]` (docs/adr/0051).
 */

/** Larger index blobs are not read: their layers are fetched instead. */
export const MAX_INDEX_BYTES = 16 << 20;
/** Bytes that an index may expand to. */
export const MAX_INDEX_TEXT = 128 << 20;

/** The letters of types; `w` is a removal (whiteout). */
export const LETTERS: Readonly<Record<Exclude<FileType, 'socket'>, string>> = {
  file: 'f',
  dir: 'd',
  symlink: 'l',
  char: 'c',
  block: 'b',
  fifo: 'p',
};

/** The letter of a removal. */
export const GONE = 'w';
