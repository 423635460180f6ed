import { resolveInRoot } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { pathMatch } from '../dockerfile/index.ts';
import { fileError } from './file-error.ts';

/**
 * Go's `filepath.Join("/", text)` that keeps what the end of the text says: `/a/` is a directory, `/a/.` its contents
 * (BuildKit solver/llbsolver/file, `cleanPath`).
 */
export function cleanKeepingEnd(text: string): string {
  const clean = cleanPath(text);
  if (text.endsWith('/.')) return clean === '/' ? '/.' : `${clean}/.`;
  return text.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** Go's `filepath.Join("/", text)`. */
export function cleanPath(text: string): string {
  const parts: string[] = [];
  for (const part of text.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Appends a name to a clean absolute path. */
export function child(dir: string, name: string): string {
  return dir === '/' ? `/${name}` : `${dir}/${name}`;
}

/** Go's `filepath.Base`; `.` for a path that ends in `/.`. */
export function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

/** Where a source path leads in a tree; the last component is followed too when `followLast`. */
export function resolveSource(tree: FileTree, path: string, followLast: boolean): string {
  const options = followLast ? {} : ({ last: 'keep' } as const);
  const at = resolveInRoot(cleanPath(path), (p) => tree.lstat(p)?.link, options);
  if (at === undefined) throw fileError('lstat', path, 'ELOOP');
  return at;
}

/** The part of a tree that wildcards are matched in. */
type Listing = Pick<FileTree, 'list'> & {
  lstat(path: string): { readonly type: string } | undefined;
};

/**
 * Paths that a pattern names, in walk order. The components before the first wildcard are taken as they are (after
 * `resolveDir`); the rest is matched as Go's `filepath.Match` does; what is below a match is not matched again.
 */
export function resolveWildcards(
  tree: Listing,
  pattern: string,
  resolveDir: (path: string) => string,
): string[] {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.');
  const first = parts.findIndex(hasWildcard);
  if (first === -1) return [pattern];
  const root = resolveDir(`/${parts.slice(0, first).join('/')}`);
  if (tree.lstat(root) === undefined) throw fileError('lstat', root, 'ENOENT');
  const rest = parts.slice(first).join('/');
  // A class (`[^a]`) may match a slash; anything else matches inside one component.
  const depth = parts.length - first + (rest.split('[').length - 1);
  const found: string[] = [];
  const walk = (dir: string, relative: string, level: number): void => {
    for (const name of tree.list(dir)) {
      const below = relative === '' ? name : `${relative}/${name}`;
      const path = child(dir, name);
      const match = pathMatch(rest, below);
      if (match.ok && match.value) found.push(path);
      else if (level < depth && tree.lstat(path)?.type === 'dir') walk(path, below, level + 1);
    }
  };
  walk(root, '', 1);
  return found;
}

/** Whether a path has an unescaped `*`, `?` or `[`. */
export function hasWildcard(text: string): boolean {
  return /[*?[]/.test(text.replace(/\\./g, ''));
}
