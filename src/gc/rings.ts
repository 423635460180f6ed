/**
 * Entries that stand on each other in a ring: layer A over B in one image and B over A in another. Returns the rings as lists of
 * places (the strongly connected components of more than one place; Tarjan, "Depth-first search and linear graph algorithms",
 * 1972). It does not recurse: a chain may be as long as a store is large.
 */
export function ringsOf(parents: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const count = parents.length;
  /** When a place was first reached, from 1 on, and the earliest place of the open ones that it leads back to. */
  const reached = new Int32Array(count);
  const earliest = new Int32Array(count);
  /** Places whose ring is not known yet, and the way from the root with the next parent of each place to look at. */
  const open = new Int32Array(count);
  const path = new Int32Array(count);
  const next = new Int32Array(count);
  const rings: (readonly number[])[] = [];
  let [clock, opened, length] = [0, 0, 0];
  const enter = (at: number): void => {
    clock++;
    reached[at] = clock;
    earliest[at] = clock;
    open[opened++] = at;
    path[length++] = at;
  };
  const leadsBack = (at: number, to: number): void => {
    if (to < (earliest[at] ?? 0)) earliest[at] = to;
  };
  for (let root = 0; root < count; root++) {
    // What stands on nothing is in no ring.
    if (reached[root] !== 0 || parents[root]?.length === 0) continue;
    enter(root);
    while (length > 0) {
      const at = path[length - 1] ?? 0;
      const place = next[at] ?? 0;
      const parent = parents[at]?.[place];
      if (parent !== undefined) {
        next[at] = place + 1;
        if (reached[parent] === 0) enter(parent);
        else leadsBack(at, reached[parent] ?? 0);
        continue;
      }
      length--;
      const back = earliest[at] ?? 0;
      if (length > 0) leadsBack(path[length - 1] ?? 0, back);
      if (back !== reached[at]) continue;
      const from = open.lastIndexOf(at, opened - 1);
      if (opened - from > 1) rings.push([...open.subarray(from, opened)]);
      // What is closed is later than whatever is open.
      for (; opened > from; opened--) reached[open[opened - 1] ?? 0] = CLOSED;
    }
  }
  return rings;
}

const CLOSED = 2 ** 31 - 1;
