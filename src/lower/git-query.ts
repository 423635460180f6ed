import { err, ok, type Result } from '../base/index.ts';
import { quoteGo } from '../dockerfile/index.ts';

/** What fragment and query of a git address ask for. */
export interface GitWish {
  readonly ref: string;
  readonly subdir: string;
  readonly checksum: string;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean | undefined;
}

const FLAGS = ['submodules', 'keep-git-dir', 'fetch-by-commit'];
const TRUE = new Set(['', '1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Reads `#ref:subdir` and the query of a git address; the error is BuildKit's (frontend/dockerfile/dfgitutil). */
export function readGitWish(fragment: string, query: URLSearchParams): Result<GitWish, string> {
  const [ref = '', ...rest] = fragment.split(':');
  const subdir = rest.join(':');
  const values = new Map<string, string>();
  for (const [key, value] of query) {
    if (values.has(key)) return err(`query ${quoteGo(key)} has multiple values`);
    if (value === '' && !FLAGS.includes(key)) return err(`query ${quoteGo(key)} has no value`);
    values.set(key, value);
    const problem = problemOf(key, value);
    if (problem !== undefined) return err(problem);
  }
  const conflict = (what: string, a: string, b: string | undefined): string | undefined =>
    a === '' || b === undefined || a === b
      ? undefined
      : `${what} conflicts: ${quoteGo(a)} vs ${quoteGo(b)}`;
  const clash =
    conflict('ref', ref, values.get('ref')) ?? conflict('subdir', subdir, values.get('subdir'));
  if (clash !== undefined) return err(clash);
  const named = namedRef(values.get('ref') ?? ref, values.get('tag'), values.get('branch'));
  if (!named.ok) return named;
  return ok({
    ref: named.value,
    subdir: values.get('subdir') ?? subdir,
    checksum: values.get('commit') ?? values.get('checksum') ?? '',
    keepGitDir: flag(values.get('keep-git-dir')),
    submodules: flag(values.get('submodules')),
  });
}

function problemOf(key: string, value: string): string | undefined {
  if (FLAGS.includes(key))
    return TRUE.has(value) || FALSE.has(value)
      ? undefined
      : `invalid ${key} value: ${quoteGo(value)}`;
  switch (key) {
    case 'ref':
    case 'tag':
    case 'branch':
    case 'subdir':
    case 'checksum':
    case 'commit':
      return undefined;
    case 'mtime':
      // Files always have the time of their commit here.
      if (value === 'commit') return undefined;
      return value === 'checkout'
        ? 'mtime=checkout is not supported: files have the time of their commit'
        : `invalid mtime value: ${quoteGo(value)} (must be "checkout" or "commit")`;
    default:
      return `unexpected query ${quoteGo(key)}`;
  }
}

function namedRef(
  ref: string,
  tag: string | undefined,
  branch: string | undefined,
): Result<string, string> {
  let found = ref;
  for (const [name, prefix] of [
    [tag, 'refs/tags/'],
    [branch, 'refs/heads/'],
  ] as const) {
    if (name === undefined) continue;
    const whole = name.startsWith(prefix) ? name : `${prefix}${name}`;
    if (prefix === 'refs/heads/' && tag !== undefined) return err('branch conflicts with tag');
    if (found !== '' && found !== name && found !== whole)
      return err(`ref conflicts: ${quoteGo(found)} vs ${quoteGo(whole)}`);
    found = whole;
  }
  return ok(found);
}

function flag(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : TRUE.has(value);
}
