import type { GoJson } from '../../base/index.ts';
import { ENTRY_KINDS, type Entry } from '../../gc/index.ts';
import { takeInventory } from '../../upkeep/index.ts';
import { fail, type Io, printJson } from '../io.ts';
import { formatBytes, neutralise } from '../progress/text.ts';
import { withUpkeep } from '../upkeep-world.ts';
import { cut, shortId } from './cache-gc.ts';
import { one } from './cache-show.ts';

type Options = Readonly<Record<string, unknown>>;

/** `varve cache tree`: what stands on what. */
export function cacheTree(io: Io, id: string | undefined, options: Options): Promise<number> {
  return withUpkeep(io, { values: options }, async (deps) => {
    // In the order in which they were made: directories are listed in none.
    const entries = [...(await takeInventory(deps))].sort(
      (a, b) => kindOrder(a) - kindOrder(b) || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1),
    );
    const children = new Map<string, Entry[]>();
    for (const entry of entries)
      for (const parent of entry.parents)
        children.set(parent, [...(children.get(parent) ?? []), entry]);
    const found = id === undefined ? undefined : one(entries, id);
    if (found !== undefined && !found.ok) return fail(io, found.error);
    const roots = found === undefined ? rootsOf(entries, children) : [found.entry];
    if (options['json'] === true) {
      for (const root of roots) printJson(io, treeJson(root, children, new Set()));
      return 0;
    }
    for (const root of roots) for (const line of treeLines(root, children)) io.out(`${line}\n`);
    return 0;
  });
}

const kindOrder = ({ kind }: Entry): number => ENTRY_KINDS.indexOf(kind);

/** What stands on nothing that is here; of entries that stand on each other in a ring the first. */
function rootsOf(
  entries: readonly Entry[],
  children: ReadonlyMap<string, readonly Entry[]>,
): readonly Entry[] {
  const ids = new Set(entries.map(({ id }) => id));
  const seen = new Set<string>();
  const see = (entry: Entry): void => {
    const todo = [entry];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      if (seen.has(at.id)) continue;
      seen.add(at.id);
      todo.push(...(children.get(at.id) ?? []));
    }
  };
  const lowest = entries.filter(({ parents }) => !parents.some((id) => ids.has(id)));
  lowest.forEach(see);
  const inRings = entries.filter((entry) => {
    if (seen.has(entry.id)) return false;
    see(entry);
    return true;
  });
  return [...lowest, ...inRings].filter(({ id, kind }) => children.has(id) || kind === 'layer');
}

/** A path through the tree that comes back to itself, since entries stand on each other in a ring, ends there. */
function treeJson(
  entry: Entry,
  children: ReadonlyMap<string, readonly Entry[]>,
  above: ReadonlySet<string>,
): GoJson {
  const below = above.has(entry.id) ? [] : (children.get(entry.id) ?? []);
  const path = new Set([...above, entry.id]);
  return {
    id: entry.id,
    kind: entry.kind,
    bytes: entry.bytes,
    label: entry.label,
    children: below.map((child) => treeJson(child, children, path)),
  };
}

function* treeLines(
  entry: Entry,
  children: ReadonlyMap<string, readonly Entry[]>,
  at: { readonly head: string; readonly tail: string; readonly above: ReadonlySet<string> } = {
    head: '',
    tail: '',
    above: new Set(),
  },
): Generator<string> {
  const size = entry.kind === 'record' ? '' : ` ${formatBytes(entry.bytes)}`;
  yield `${at.head}${entry.kind} ${shortId(entry.id)}${size}  ${cut(neutralise(entry.label))}`;
  if (at.above.has(entry.id)) return;
  const below = children.get(entry.id) ?? [];
  const above = new Set([...at.above, entry.id]);
  for (const [i, child] of below.entries()) {
    const last = i === below.length - 1;
    yield* treeLines(child, children, {
      head: `${at.tail}${last ? '└─ ' : '├─ '}`,
      tail: `${at.tail}${last ? '   ' : '│  '}`,
      above,
    });
  }
}
