/** Type bits of `i_mode` (inode(7)), and the type in directories of file systems (`linux/fs_types.h`). */
export const INODE_TYPES = {
  file: [0o100000, 1],
  dir: [0o040000, 2],
  char: [0o020000, 3],
  block: [0o060000, 4],
  fifo: [0o010000, 5],
  socket: [0o140000, 6],
  symlink: [0o120000, 7],
} as const;

/** Type of an inode. */
export type InodeType = keyof typeof INODE_TYPES;
