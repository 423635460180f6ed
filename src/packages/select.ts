import {
  byCodeUnit,
  didYouMean,
  err,
  type Failure,
  failure,
  ok,
  type Result,
} from '../base/index.ts';
import type { LockedPackage, PackageWish, Template, Variant } from '../template/index.ts';
import type { Chosen } from './explain.ts';
import { installSteps, needTargets } from './install-steps.ts';
import { resolve } from './resolver.ts';
import { type Candidate, Universe, type UniverseIndex } from './universe.ts';

/** The highest priority number that a variant includes, and packages it adds (0: Essential packages only). */
const VARIANTS: Readonly<
  Record<Variant, { readonly priority: number; readonly adds: readonly string[] }>
> = {
  essential: { priority: 0, adds: [] },
  apt: { priority: 0, adds: ['apt'] },
  minbase: { priority: 1, adds: ['apt'] },
  important: { priority: 2, adds: ['apt'] },
  standard: { priority: 3, adds: ['apt'] },
};

/** Chooses a template's packages. PK030: no solution; PK031: a package that does not exist. */
export function selectPackages(
  template: Template,
  indexes: readonly UniverseIndex[],
  architecture: string,
): Result<readonly LockedPackage[]> {
  const universe = new Universe(indexes, {
    architecture,
    choices: new Map(template.packages.map((wish) => [wish.name, wish])),
    excluded: new Set(template.exclude),
  });
  const variant = VARIANTS[template.variant];
  const seeds = universe.base(variant.priority).map((candidate) => ({
    candidate,
    reason: candidate.record.essential
      ? 'essential'
      : `part of the variant ${template.variant} (priority)`,
  }));
  // Roots are always made with merged /usr; without this the package that merges it afterwards would be chosen, with Perl.
  const merged = universe.candidate('usr-is-merged');
  if (merged !== undefined)
    seeds.push({ candidate: merged, reason: 'the root is made with merged /usr' });
  const unknown: Failure[] = [];
  const add = (wish: Pick<PackageWish, 'name'> & Partial<PackageWish>, reason: string): void => {
    const candidate = seedFor(universe, wish.name);
    if (candidate === undefined) unknown.push(noSuchPackage(template, universe, wish));
    else seeds.push({ candidate, reason });
  };
  for (const name of variant.adds) add({ name }, `part of the variant ${template.variant}`);
  for (const wish of template.packages) add(wish, 'asked for');
  const [first, ...also] = unknown;
  if (first !== undefined) return err(also.length === 0 ? first : { ...first, also });
  const resolved = resolve(universe, { seeds, recommends: template.recommends });
  return resolved.ok ? ok(lockPackages(universe, resolved.value)) : resolved;
}

/** A package by name, or the only package that provides the name (as apt-get does). */
function seedFor(universe: Universe, name: string): Candidate | undefined {
  const real = universe.candidate(name);
  const providers = universe.providers(name);
  return real ?? (providers.length === 1 ? providers[0] : undefined);
}

function noSuchPackage(
  template: Template,
  universe: Universe,
  wish: Partial<PackageWish> & { readonly name: string },
): Failure {
  const { name, version, suite, span } = wish;
  const versions = universe.versions(name);
  const providers = universe.providers(name).map((p) => p.record.name);
  const wanted = `${name}${version === undefined ? '' : `=${version}`}${suite === undefined ? '' : `/${suite}`}`;
  const near = versions.length === 0 ? didYouMean(name, universe.names()) : undefined;
  const help = universe.isExcluded(name)
    ? 'it is under "exclude:"'
    : versions.length > 0
      ? `there is ${versions.map((v) => `${v.version} (${v.suite})`).join(', ')}`
      : providers.length > 0
        ? `it is provided by ${providers.join(', ')}: choose one`
        : near === undefined
          ? 'check the name, the suite and the components'
          : `did you mean "${near}"?`;
  return failure('PK031', 2, `no package ${wanted} in ${template.suite}`, {
    help,
    ...(span === undefined ? {} : { places: [{ file: template.file, span }] }),
  });
}

function lockPackages(
  universe: Universe,
  chosen: ReadonlyMap<string, Chosen>,
): readonly LockedPackage[] {
  const candidates = [...chosen.values()].map((c) => c.candidate);
  const targets = needTargets(universe, candidates);
  const steps = installSteps(candidates, targets);
  return [...chosen.values()]
    .map(({ candidate, manual, reason }) => ({
      name: candidate.record.name,
      version: candidate.record.version,
      architecture: candidate.record.architecture,
      sha256: candidate.record.sha256,
      size: candidate.record.size,
      path: candidate.record.path,
      source: candidate.source,
      step: steps.get(candidate.record.name) ?? 0,
      manual,
      reason,
      needs: [...new Set((targets.get(candidate.record.name) ?? []).map((t) => t.name))].sort(
        byCodeUnit,
      ),
    }))
    .sort((a, b) => byCodeUnit(a.name, b.name) || byCodeUnit(a.architecture, b.architecture));
}
