import type { Change, ChangeKind } from '../events/index.ts';

/** A change when the two values differ, else none. */
export function changed(
  kind: ChangeKind,
  name: string,
  before: string | undefined,
  after: string | undefined,
): Change[] {
  if (before === after) return [];
  return [
    {
      kind,
      name,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    },
  ];
}

/** The changes between two sets of named texts, in the order of their names' first appearance. */
export function changedEntries(
  kind: ChangeKind,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Change[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].flatMap((name) => changed(kind, name, before.get(name), after.get(name)));
}
