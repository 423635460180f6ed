import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { isErrno } from '../base/index.ts';
import type { Entry } from '../gc/index.ts';
import type { UpkeepDeps } from './deps.ts';
import { FREE } from './estimate.ts';

/** The directories that entries are in, and files of nobody: with it, the sizes of all entries are what du counts. */
export function restEntry(deps: UpkeepDeps, entries: readonly Entry[]): Entry[] {
  const { root } = deps.paths;
  const stat = lstatSync(root, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  const counted = new Set(entries.flatMap((entry) => entry.paths));
  let blocks = 0;
  const todo = [root];
  for (let dir = todo.pop(); dir !== undefined; dir = todo.pop()) {
    blocks += lstatSync(dir, { throwIfNoEntry: false })?.blocks ?? 0;
    for (const entry of entriesOf(dir)) {
      const path = `${dir}/${entry.name}`;
      if (counted.has(path)) continue;
      if (entry.isDirectory()) todo.push(path);
      else blocks += lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0;
    }
  }
  return [
    {
      ...{ id: 'store:directories', kind: 'store', label: 'directories and what is left in them' },
      ...{ bytes: blocks * 512, shared: 0 },
      ...{ createdAt: Math.min(stat.birthtimeMs, stat.mtimeMs), usedAt: stat.mtimeMs, uses: 0 },
      ...{ madeBy: {}, usedBy: [], holds: [{ by: 'store', text: 'the store itself' }] },
      ...{ parents: [], twins: [], cost: FREE, lastCost: FREE, paths: [] },
    },
  ];
}

/** What was removed meanwhile is nothing. */
function entriesOf(dir: string): readonly Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return [];
    throw e;
  }
}
