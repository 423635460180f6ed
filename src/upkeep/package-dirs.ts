import { join } from 'node:path';
import { sha256 } from '../base/index.ts';
import type { UpkeepPaths } from './deps.ts';

/** A directory of packages, their indexes and the Release files that vouch for both. */
export interface PackageDir {
  readonly path: string;
  /** Another command works with it, of this store or of another: nothing of it may go. */
  readonly inUse: boolean;
}

/** The store's own directory of packages, and those of the user that were named. */
export const packageDirs = (paths: UpkeepPaths): readonly PackageDir[] => [
  { path: paths.packages, inUse: false },
  ...(paths.packageDirs ?? []),
];

/** What the identifiers of a directory's entries have before their name: the same files may lie in several. */
export const idPrefix = (paths: UpkeepPaths, dir: PackageDir): string =>
  dir.path === paths.packages ? '' : `${sha256(dir.path).slice(7, 15)}/`;

/** Where what is damaged goes: beside it when it is in a directory of the user, which may be another file system. */
export function quarantineFor(paths: UpkeepPaths, path: string): string {
  const own = paths.packageDirs?.find((dir) => path.startsWith(`${dir.path}/`));
  return own === undefined ? join(paths.root, 'quarantine') : join(own.path, 'pool', 'quarantine');
}
