import type { TemplateLock } from './lock.ts';

/**
 * The same lock with nothing in it but packages: those that `wanted` names with all that they need, and those without which
 * nothing can be installed. Undefined where the lock does not say what needs what.
 */
export function partOfLock(
  lock: TemplateLock,
  wanted: readonly string[],
): TemplateLock | undefined {
  const byName = Map.groupBy(lock.packages, (p) => p.name);
  const kept = new Set(lock.packages.filter((p) => p.step === 0).map((p) => p.name));
  for (const wish of wanted)
    for (const name of lock.rpm?.asked[wish] ?? [wish]) if (byName.has(name)) kept.add(name);
  // A set's iterator visits what is added behind it.
  for (const name of kept)
    for (const { needs } of byName.get(name) ?? []) {
      if (needs === undefined) return undefined;
      for (const need of needs) kept.add(need);
    }
  return {
    ...bareLock(lock),
    packages: lock.packages.filter((p) => kept.has(p.name)).map((p) => ({ ...p, manual: false })),
  };
}

/** A lock without files, accounts and sources of its own: what roots begin with. */
export function bareLock({ layers: _, ...lock }: TemplateLock): TemplateLock {
  return { ...lock, aptSources: false, files: [], users: [] };
}
