import { posix } from 'node:path';
import type { StageModel } from './dockerfile-model.ts';

/** The working directory in front of each instruction of a stage; variables in it stay as they are written. */
export function workdirs({ items, workdir }: StageModel): readonly string[] {
  let at = workdir;
  return items.map(({ command }) => {
    const before = at;
    if (command.kind === 'workdir') at = resolvePath(at, command.path.value);
    return before;
  });
}

/** An absolute path without a slash at its end. */
export function resolvePath(workdir: string, path: string): string {
  const full = posix.normalize(path.startsWith('/') ? path : posix.join(workdir, path));
  return full === '/' ? full : full.replace(/\/$/, '');
}

/** Whether one of two paths holds the other. */
export const touches = (a: string, b: string): boolean => isWithin(a, b) || isWithin(b, a);

/** Whether `path` is `root` or below it. */
export const isWithin = (root: string, path: string): boolean =>
  root === '/' || path === root || path.startsWith(`${root}/`);
