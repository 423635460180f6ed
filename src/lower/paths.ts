/** A part that is empty, `.` or `..`. */
const UNCLEAN = /\/\.{0,2}(?:\/|$)/;

/** Go's `path.Clean` for slash-separated paths. */
export function cleanPath(path: string): string {
  if (path.startsWith('/') && !UNCLEAN.test(path)) return path;
  const rooted = path.startsWith('/');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (!rooted) parts.push('..');
  }
  const joined = parts.join('/');
  return rooted ? `/${joined}` : joined === '' ? '.' : joined;
}

/** Go's `path.Join`. */
export function joinPath(...parts: readonly string[]): string {
  const given = parts.filter((p) => p !== '');
  return given.length === 0 ? '' : cleanPath(given.join('/'));
}

/** Go's `path.Base`. */
export function baseName(path: string): string {
  const trimmed = path.endsWith('/') ? path.replace(/\/+$/, '') : path;
  if (trimmed === '') return path === '' ? '.' : '/';
  return trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

/** A path below `parent` (or absolute), cleaned; with `keepSlash` a trailing slash or `/.` stays as a slash. */
export function normalisePath(
  parent: string,
  path: string,
  options: { readonly keepSlash: boolean },
): string {
  const given = path === '' ? '.' : path;
  const joined = given.startsWith('/') ? cleanPath(given) : joinPath('/', parent, given);
  const directory = given.endsWith('/') || given.endsWith('/.');
  return options.keepSlash && directory && !joined.endsWith('/') ? `${joined}/` : joined;
}
