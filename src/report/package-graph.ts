import { byCodeUnit } from '../base/index.ts';

/** A package that is installed, or was chosen. */
export interface GraphPackage {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  /** The source package that it is built from. */
  readonly source: string;
  /** Identifiers of the packages that it needs. */
  readonly needs: readonly string[];
}

/** A mark of the picture: a package, or all of one source. */
export interface GraphNode {
  readonly id: string;
  readonly name: string;
  /** Counted from the left: what it needs stands to the right of it. */
  readonly column: number;
  readonly row: number;
  /** Nothing that is drawn needs it. */
  readonly top: boolean;
}

/** What is drawn of packages and what they need. */
export interface PackageGraph {
  readonly nodes: readonly GraphNode[];
  readonly links: readonly { readonly source: string; readonly target: string }[];
  /** What is left out, for people. */
  readonly said: readonly string[];
}

/** Marks that can still be told apart. */
export const MAX_DRAWN = 300;

type Needs = ReadonlyMap<string, readonly string[]>;

/**
 * The picture of packages: of more than `MAX_DRAWN` those of one source are one mark, and of more sources those that have least
 * to do with the others are left out. Arrows that follow from others are left out too.
 */
export function packageGraph(packages: readonly GraphPackage[]): PackageGraph {
  const said: string[] = [];
  const grouped = packages.length > MAX_DRAWN;
  const groupOf = new Map(packages.map((p) => [p.id, grouped ? p.source : p.id]));
  const groups = Map.groupBy(packages, (p) => groupOf.get(p.id) ?? p.id);
  let needs = needsOf(groups, groupOf);
  if (grouped)
    said.push(
      `${packages.length} packages are drawn as the ${groups.size} sources they are built from.`,
    );
  if (needs.size > MAX_DRAWN) {
    said.push(
      `Of these the ${MAX_DRAWN} with the most arrows are drawn; the table has all packages.`,
    );
    needs = mostConnected(needs);
  }
  const { forward, columns } = layered(needs);
  const drawn = reduced(forward);
  const all = count(needs);
  const kept = count(drawn);
  if (kept < all)
    said.push(
      `${kept} of ${all} arrows are drawn: the others follow from them, or close a circle.`,
    );
  const needed = new Set([...needs.values()].flat());
  const named = (id: string): string => {
    const own = groups.get(id) ?? [];
    return own.length > 1 ? `${id} (${own.length} packages)` : (own[0]?.name ?? id);
  };
  return {
    nodes: rows(drawn, columns).map(({ id, row }) => ({
      ...{ id, row, name: named(id), top: !needed.has(id) },
      column: columns.get(id) ?? 0,
    })),
    links: [...drawn].flatMap(([source, targets]) => targets.map((target) => ({ source, target }))),
    said,
  };
}

const count = (needs: Needs): number =>
  [...needs.values()].reduce((sum, targets) => sum + targets.length, 0);

/** What each group needs of others, by name. */
function needsOf(
  groups: ReadonlyMap<string, readonly GraphPackage[]>,
  groupOf: ReadonlyMap<string, string>,
): Needs {
  return new Map(
    [...groups]
      .sort(([a], [b]) => byCodeUnit(a, b))
      .map(([group, own]) => {
        const targets = new Set(own.flatMap((p) => p.needs.flatMap((id) => groupOf.get(id) ?? [])));
        targets.delete(group);
        return [group, [...targets].sort(byCodeUnit)] as const;
      }),
  );
}

function mostConnected(needs: Needs): Needs {
  const degrees = new Map<string, number>();
  for (const [id, targets] of needs)
    for (const each of [...targets.map(() => id), ...targets])
      degrees.set(each, (degrees.get(each) ?? 0) + 1);
  const degree = (id: string): number => degrees.get(id) ?? 0;
  const kept = new Set(
    [...needs.keys()].sort((a, b) => degree(b) - degree(a) || byCodeUnit(a, b)).slice(0, MAX_DRAWN),
  );
  return new Map(
    [...needs].flatMap(([id, targets]) =>
      kept.has(id) ? [[id, targets.filter((target) => kept.has(target))] as const] : [],
    ),
  );
}

/**
 * Columns by the longest way to a mark. An arrow that closes a circle has no place in them: of packages that need each other,
 * the one that is come to first stands on the left, and the way back is not drawn.
 */
function layered(needs: Needs): {
  readonly forward: Needs;
  readonly columns: ReadonlyMap<string, number>;
} {
  const needed = new Set([...needs.values()].flat());
  const ids = [...needs.keys()];
  const starts = [...ids.filter((id) => !needed.has(id)), ...ids.filter((id) => needed.has(id))];
  const forward = new Map<string, string[]>();
  const under = new Set<string>();
  const order: string[] = [];
  const visit = (id: string): void => {
    if (forward.has(id)) return;
    const targets: string[] = [];
    forward.set(id, targets);
    under.add(id);
    for (const target of needs.get(id) ?? []) {
      visit(target);
      if (!under.has(target)) targets.push(target);
    }
    under.delete(id);
    order.push(id);
  };
  for (const id of starts) visit(id);
  const columns = new Map(ids.map((id) => [id, 0]));
  for (const id of order.toReversed())
    for (const target of forward.get(id) ?? [])
      columns.set(target, Math.max(columns.get(target) ?? 0, (columns.get(id) ?? 0) + 1));
  return { forward, columns };
}

/** Without the arrows that a longer way says as well. */
function reduced(forward: Needs): Needs {
  const below = new Map<string, ReadonlySet<string>>();
  const reach = (id: string): ReadonlySet<string> => {
    const known = below.get(id);
    if (known !== undefined) return known;
    const found = new Set<string>();
    for (const target of forward.get(id) ?? []) {
      found.add(target);
      for (const far of reach(target)) found.add(far);
    }
    below.set(id, found);
    return found;
  };
  return new Map(
    [...forward].map(([id, targets]) => [
      id,
      targets.filter(
        (target) => !targets.some((other) => other !== target && reach(other).has(target)),
      ),
    ]),
  );
}

/** Rows in each column: a mark stands about where those stand that need it. */
function rows(
  links: Needs,
  columns: ReadonlyMap<string, number>,
): readonly { readonly id: string; readonly row: number }[] {
  const sources = new Map<string, string[]>();
  for (const [id, targets] of links)
    for (const target of targets) sources.set(target, [...(sources.get(target) ?? []), id]);
  const placed = new Map<string, number>();
  const wish = (id: string): number => {
    const known = (sources.get(id) ?? []).map((source) => placed.get(source) ?? 0);
    return known.length === 0 ? Infinity : known.reduce((sum, row) => sum + row, 0) / known.length;
  };
  const byColumn = Map.groupBy([...columns.keys()], (id) => columns.get(id) ?? 0);
  const tallest = Math.max(1, ...[...byColumn.values()].map((ids) => ids.length));
  for (const [, ids] of [...byColumn].sort(([a], [b]) => a - b)) {
    const wished = ids.map((id) => ({ id, at: wish(id) }));
    wished.sort((a, b) => (a.at === b.at ? byCodeUnit(a.id, b.id) : a.at - b.at));
    // Never above its wish where there is room below.
    let next = 0;
    for (const [i, { id, at }] of wished.entries()) {
      const last = tallest - (wished.length - i);
      const row = Math.max(next, Math.min(Number.isFinite(at) ? Math.round(at) : next, last));
      placed.set(id, row);
      next = row + 1;
    }
  }
  return [...placed].map(([id, row]) => ({ id, row }));
}
