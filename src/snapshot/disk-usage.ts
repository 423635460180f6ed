import { statOf } from './disk-entry.ts';
import { join, namesIn } from './overlay-tree.ts';

/** Bytes that a directory and everything in it take on disk; a file with several names counts once. */
export function diskUsage(dir: string): number {
  const counted = new Set<bigint>();
  let bytes = 0;
  const todo = [dir];
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const stat = statOf(path);
    if (stat === undefined) continue;
    if (stat.nlink > 1n && !stat.isDirectory()) {
      if (counted.has(stat.ino)) continue;
      counted.add(stat.ino);
    }
    bytes += Number(stat.blocks) * 512;
    if (stat.isDirectory()) for (const name of namesIn(path)) todo.push(join(path, name));
  }
  return bytes;
}
