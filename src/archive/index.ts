export type { TarEntry, TarType } from './tar-entry.ts';
export { quoted, TarReader } from './tar-read.ts';
export { TAR_END, tarHeader, tarPadding } from './tar-write.ts';
