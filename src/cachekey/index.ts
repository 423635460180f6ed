export type { ListedEntries } from './content-hash.ts';
export { type ContentHasher, contentHasher } from './content-hash.ts';
export { contentDigest, contentKey, type EntriesSink } from './content-key.ts';
export { entryHeader } from './entry-header.ts';
export type { FileEntry, FileTree, FileType } from './file-tree.ts';
export { type OpKey, type OpKeyDep, type OpKeyOptions, opKey } from './op-key.ts';
export { type Resolved, resolveInTree } from './resolve.ts';
export type { ContentSelector } from './selector.ts';
export {
  contentRecordDigest,
  type GitSourceFacts,
  gitSourceKey,
  type HttpSourceFacts,
  httpSourceKey,
  imageChainKey,
  imageManifestKey,
  recordDigest,
  sourceKey,
} from './source-key.ts';
export { readTreeFile, type TreeFileFault } from './tree-file.ts';
