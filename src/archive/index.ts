export { type CompressOptions, compress } from './compress.ts';
export { CpioReader, type StrippedFile } from './cpio-read.ts';
export {
  type Compression,
  type DecompressOptions,
  decompress,
  detectCompression,
} from './decompress.ts';
export { type ExpansionOptions, withinExpansion } from './expansion.ts';
export type { KnownBlocks } from './gzip-blocks.ts';
export type { TarEntry, TarType } from './tar-entry.ts';
export { quoted, TarReader } from './tar-read.ts';
export { TAR_END, tarHeader, tarPadding } from './tar-write.ts';
