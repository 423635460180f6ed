import { err, ok, type Result } from '../base/index.ts';
import type { FileEntry, FileTree } from './file-tree.ts';

const MAX_LINKS = 255;

/** Where a path leads inside a tree. */
export interface Resolved {
  /** Absolute and clean; `/` is the root. */
  readonly path: string;
  /** Undefined when nothing is there. */
  readonly entry: FileEntry | undefined;
}

/**
 * Follows symbolic links in the components of `path` (and in the last one when `last` says so) without leaving the tree:
 * absolute targets start at its root, `..` stops there. A loop is an error.
 */
export function resolveInTree(
  tree: FileTree,
  path: string,
  options: { readonly last: boolean },
): Result<Resolved, string> {
  const pending = path.split('/').reverse();
  const at: string[] = [];
  const here = (): string => `/${at.join('/')}`;
  let links = 0;
  let entry = tree.lstat('/');
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      at.pop();
      entry = tree.lstat(here());
      continue;
    }
    at.push(part);
    entry = tree.lstat(here());
    const isLast = pending.every((p) => p === '' || p === '.');
    if (entry?.type !== 'symlink' || (isLast && !options.last)) continue;
    if (++links > MAX_LINKS) return err('too many links');
    at.pop();
    const target = entry.link ?? '';
    if (target.startsWith('/')) at.length = 0;
    pending.push(...target.split('/').reverse());
    entry = tree.lstat(here());
  }
  return ok({ path: here(), entry });
}
