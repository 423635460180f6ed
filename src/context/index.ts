export { unpackArchive } from './archive-context.ts';
export { type HashJob, hashFiles } from './hash-files.ts';
export { type LocalSourceDeps, openLocalSource } from './local-source.ts';
export { isSoundStatIndex } from './stat-index.ts';
