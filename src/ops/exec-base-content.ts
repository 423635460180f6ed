import { chmodSync, lchownSync } from 'node:fs';
import { fsPath } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { copySource } from './file-copy.ts';
import { FileLayer } from './file-layer.ts';
import type { Pause } from './file-pause.ts';
import { EMPTY_TREE } from './file-scratch.ts';

/** Copies a whole tree, its root's metadata included, into an empty directory. */
export async function copyWhole(tree: FileTree, dir: string, pause: Pause): Promise<void> {
  const layer = new FileLayer({ upper: dir, lower: EMPTY_TREE });
  await copySource({ source: tree, from: '/', copy: EVERYTHING, owner: undefined, layer, pause });
  layer.finish();
  const root = tree.lstat('/');
  if (root === undefined) return;
  lchownSync(fsPath(dir), root.uid, root.gid);
  chmodSync(fsPath(dir), root.mode);
}

const EVERYTHING = {
  src: '/',
  dest: '/',
  mode: -1,
  followSymlink: false,
  dirCopyContents: true,
  attemptUnpackDockerCompatibility: false,
  createDestPath: true,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1n,
  include_patterns: [],
  exclude_patterns: [],
  alwaysReplaceExistingDestPaths: false,
  modeStr: '',
  required_paths: [],
} as const;
