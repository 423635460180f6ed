import type { Candidate, Need, Universe } from './universe.ts';

/** More steps than any real chain of Pre-Depends; only a cycle of them would reach it. */
const MAX_STEPS = 64;

/**
 * In which step each package is installed. Step 0 holds the Essential packages and what they need. Behind it a package
 * stands at least one step behind what it Pre-Depends on, which must be configured before it is unpacked (Debian Policy
 * 7.2), and never before what it Depends on.
 */
export function installSteps(
  chosen: readonly Candidate[],
  targets: ReadonlyMap<string, readonly NeedTarget[]>,
): ReadonlyMap<string, number> {
  const steps = new Map<string, number>();
  for (const name of essentialClosure(chosen, targets)) steps.set(name, 0);
  const rest = chosen.map((c) => c.record.name).filter((name) => !steps.has(name));
  for (const name of rest) steps.set(name, 1);
  for (let changed = true; changed; ) {
    changed = false;
    for (const name of rest) {
      const wanted = Math.min(MAX_STEPS, earliest(targets.get(name) ?? [], steps));
      if (wanted <= (steps.get(name) ?? 0)) continue;
      steps.set(name, wanted);
      changed = true;
    }
  }
  return steps;
}

/** A chosen package that meets a need of another. */
export interface NeedTarget {
  readonly field: Need['field'];
  readonly name: string;
}

/** For each package the chosen packages that meet its needs. */
export function needTargets(
  universe: Universe,
  chosen: readonly Candidate[],
): ReadonlyMap<string, readonly NeedTarget[]> {
  const bearers = new Map<string, Candidate[]>();
  for (const candidate of chosen)
    for (const name of new Set([candidate.record.name, ...candidate.provides.map((p) => p.name)]))
      bearers.set(name, [...(bearers.get(name) ?? []), candidate]);
  return new Map(
    chosen.map((owner) => [
      owner.record.name,
      owner.needs.flatMap(({ field, group }) =>
        group.flatMap((relation) =>
          (bearers.get(relation.name) ?? [])
            .filter((c) => c !== owner && universe.fulfils(c, relation))
            .map((c) => ({ field, name: c.record.name })),
        ),
      ),
    ]),
  );
}

function essentialClosure(
  chosen: readonly Candidate[],
  targets: ReadonlyMap<string, readonly NeedTarget[]>,
): ReadonlySet<string> {
  const found = new Set(chosen.filter((c) => c.record.essential).map((c) => c.record.name));
  // A set's iterator visits what is added behind it.
  for (const name of found) for (const target of targets.get(name) ?? []) found.add(target.name);
  return found;
}

function earliest(targets: readonly NeedTarget[], steps: ReadonlyMap<string, number>): number {
  let step = 1;
  for (const { field, name } of targets) {
    const other = steps.get(name) ?? 0;
    step = Math.max(step, field === 'Pre-Depends' && other > 0 ? other + 1 : other);
  }
  return step;
}
