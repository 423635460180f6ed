import { byCodeUnit } from '../base/index.ts';
import { namesIn, type Pool, parseDependency } from '../rpm/index.ts';

/**
 * For each chosen package the names of the other chosen ones that meet what it requires. Both sides of a rich dependency count,
 * so that the packages which these names lead to can be installed without the others.
 */
export function needsOf(
  pool: Pool,
  chosen: readonly number[],
): ReadonlyMap<number, readonly string[]> {
  const here = new Set(chosen);
  return new Map(
    chosen.map((id) => {
      const owner = pool.package(id);
      const names = new Set<string>();
      for (const dependency of pool.list(owner, 'requires'))
        for (const name of namesIn(dependency))
          for (const other of pool.providers(name))
            if (here.has(other)) names.add(pool.package(other).record.name);
      names.delete(owner.record.name);
      return [id, [...names].sort(byCodeUnit)];
    }),
  );
}

/** The package that brings the first directories and links. */
const DIRECTORIES = 'filesystem';

/**
 * What every root of a distribution has in common: the shell that scripts are written for, the directories, and what both
 * need. These packages are installed first; without a shell there is no such part.
 */
export function commonPart(
  pool: Pool,
  chosen: readonly number[],
  needs: ReadonlyMap<number, readonly string[]>,
): ReadonlySet<number> {
  const shell = parseDependency('/bin/sh');
  const shells = new Set(shell === undefined ? [] : pool.providers(shell));
  const isShell = chosen.some((id) => shells.has(id));
  if (!isShell) return new Set(chosen);
  const byName = Map.groupBy(chosen, (id) => pool.package(id).record.name);
  const part = new Set(chosen.filter((id) => shells.has(id)));
  for (const id of byName.get(DIRECTORIES) ?? []) part.add(id);
  // A set's iterator visits what is added behind it.
  for (const id of part)
    for (const name of needs.get(id) ?? [])
      for (const need of byName.get(name) ?? []) part.add(need);
  return part;
}
