import { byCodeUnit } from '../base/index.ts';
import { namesIn, type Pool } from '../rpm/index.ts';

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
