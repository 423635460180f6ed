/** Symbolic links followed in one look-up before it is given up, as Linux does (`MAXSYMLINKS` is 40; tools allow 255). */
const MAX_LINKS = 255;

/**
 * Resolves `path` as a process whose root is the tree would see it: every component that is a symbolic link is followed
 * inside the tree, `..` stops at the root, and components that do not exist are kept as they are. `readlink` returns
 * the target of the link at a clean absolute path of the tree, or undefined when that is not a symbolic link.
 * With `last: 'keep'` the last component is not followed. Returns undefined on a loop of links.
 */
export function resolveInRoot(
  path: string,
  readlink: (path: string) => string | undefined,
  options: { readonly last?: 'follow' | 'keep' } = {},
): string | undefined {
  const todo = path.split('/').reverse();
  const done: string[] = [];
  let links = 0;
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    done.push(part);
    if (options.last === 'keep' && todo.every((rest) => rest === '' || rest === '.')) break;
    const target = readlink(`/${done.join('/')}`);
    if (target === undefined) continue;
    if (++links > MAX_LINKS) return undefined;
    done.pop();
    if (target.startsWith('/')) done.length = 0;
    todo.push(...target.split('/').reverse());
  }
  return `/${done.join('/')}`;
}
