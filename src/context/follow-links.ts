import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { byUtf8, fsPath, isErrno } from '../base/index.ts';
import { pathMatch } from '../dockerfile/index.ts';

/**
 * The include patterns for `paths` (wildcards allowed): each path itself, and wherever symbolic links on the way lead to
 * inside `root`. Undefined when everything is wanted. Absent paths stay in the list: they match nothing.
 */
export function followLinks(root: string, paths: readonly string[]): readonly string[] | undefined {
  if (paths.length === 0) return undefined;
  const resolved = new Set<string>();
  for (const path of paths) follow(root, path, resolved);
  if (resolved.has('.')) return undefined;
  const sorted = [...resolved].sort(byUtf8);
  return sorted.filter((p) => !sorted.some((q) => p.startsWith(`${q}/`)));
}

/** More links than this on one path are a loop (Linux: MAXSYMLINKS). */
const MAX_LINKS = 255;

function follow(root: string, path: string, resolved: Set<string>, depth = 0): void {
  if (depth > MAX_LINKS) return;
  const parts = clean(path).split('/');
  let current = '.';
  for (const [i, part] of parts.entries()) {
    current = posix.join(current, part);
    const rest = parts.slice(i + 1).join('/');
    const targets = linkTargets(root, current);
    if (targets.length > 0) {
      const seen = resolved.has(current);
      resolved.add(current);
      if (!seen || rest !== '')
        for (const target of targets) follow(root, posix.join(target, rest), resolved, depth + 1);
      // A wildcard may match links and other files; what is no link is found by the pattern itself.
      if (!hasWildcard(part)) return;
    }
  }
  resolved.add(current);
}

/** The path inside the root: `..` stops at the root. */
function clean(path: string): string {
  const inside = posix.join('/', path).slice(1).replace(/\/+$/, '');
  return inside === '' ? '.' : inside;
}

function hasWildcard(name: string): boolean {
  return /[*?[\\]/.test(name);
}

/** Where `path` points when it is a symbolic link, or where links matched by a last component with wildcards point. */
function linkTargets(root: string, path: string): string[] {
  const base = posix.basename(path);
  const dir = posix.dirname(path);
  if (!hasWildcard(base)) {
    const target = readLink(root, path);
    return target === undefined ? [] : [target];
  }
  const names = readNames(posix.join(root, dir)).filter((name) => {
    const match = pathMatch(base, name);
    return match.ok && match.value;
  });
  return names.flatMap((name) => readLink(root, posix.join(dir, name)) ?? []);
}

function readLink(root: string, path: string): string | undefined {
  try {
    const full = fsPath(posix.join(root, path));
    if (!lstatSync(full).isSymbolicLink()) return undefined;
    const link = readlinkSync(full, 'utf8');
    return link.startsWith('/') ? clean(link) : clean(posix.join(posix.dirname(path), link));
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined;
    throw e;
  }
}

function readNames(dir: string): string[] {
  try {
    return readdirSync(fsPath(dir), 'utf8');
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw e;
  }
}
