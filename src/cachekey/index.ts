export type { FileEntry, FileTree, FileType } from './file-tree.ts';
