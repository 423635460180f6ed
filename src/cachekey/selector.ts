import { byUtf8 } from '../base/index.ts';

/** One checksum an op asks of an input (BuildKit `contenthash.ChecksumOpts` and the path). */
export interface ContentSelector {
  readonly path: string;
  /** Follow a symbolic link at the end of the path. */
  readonly followLinks?: boolean;
  /** `path` is a pattern of `path.Match`. */
  readonly wildcard?: boolean;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  /** Paths below `path` that must exist. */
  readonly requiredPaths?: readonly string[];
}

/** Go's `path.Join("/", text)`: absolute, without `.`, `..` and doubled slashes. */
export function cleanRooted(text: string): string {
  const parts: string[] = [];
  for (const part of text.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Each path once, without those below another one; sorted. */
export function dedupePaths(paths: readonly string[]): readonly string[] {
  const unique = [...new Set(paths)].sort(byUtf8);
  return unique.filter((p) => !unique.some((other) => other !== p && p.startsWith(`${other}/`)));
}

/** Whether a path holds a wildcard that is not escaped. */
export function hasWildcard(path: string): boolean {
  for (let i = 0; i < path.length; i++) {
    const char = path.charAt(i);
    if (char === '\\') i++;
    else if (char === '*' || char === '?' || char === '[') return true;
  }
  return false;
}
