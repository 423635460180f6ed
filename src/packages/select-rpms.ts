import {
  byCodeUnit,
  didYouMean,
  digestOfHex,
  err,
  type Failure,
  failure,
  ok,
  type Result,
} from '../base/index.ts';
import {
  dependencyText,
  namesIn,
  Pool,
  type PoolPackage,
  type PoolSource,
  parseDependency,
  type Rule,
  solve,
  versionOf,
  type Wish,
} from '../rpm/index.ts';
import {
  type LockedPackage,
  type PackageWish,
  type RpmTemplate,
  wishText,
} from '../template/index.ts';
import { commonPart, needsOf } from './rpm-needs.ts';

/** What is installed, and what installs it. */
export interface ChosenRpms {
  readonly packages: readonly LockedPackage[];
  readonly tools: readonly LockedPackage[];
  /** `RpmLock.asked` of the template's packages. */
  readonly asked: Readonly<Record<string, readonly string[]>>;
}

/** Lines of a contradiction that a failure shows. */
const MAX_LINES = 24;

/** Chooses a template's packages and its tools. PK030: no solution; PK031: a package that does not exist. */
export function selectRpms(
  template: RpmTemplate,
  sources: readonly PoolSource[],
  architectures: readonly string[],
): Result<ChosenRpms> {
  const excluded = template.exclude.map(globPattern);
  const excludedHere = template.repositories.map(({ exclude }) => exclude.map(globPattern));
  const pool = new Pool(sources, {
    architectures,
    allowed: ({ name }, source) => {
      const allow = template.repositories[source]?.allow ?? [];
      const admitted = allow.length === 0 || allow.some((prefix) => name.startsWith(prefix));
      const out = [...excluded, ...(excludedHere[source] ?? [])];
      return admitted && !out.some((pattern) => pattern.test(name));
    },
  });
  const wishes = wishesOf(pool, template, template.packages);
  if (!wishes.ok) return wishes;
  const packages = choose(pool, wishes.value, template.recommends);
  if (!packages.ok) return packages;
  const names = template.tools.map((name) => ({ name, span: { offset: 0, length: 0 } }));
  const toolWishes = wishesOf(pool, template, names);
  if (!toolWishes.ok) return toolWishes;
  const tools = choose(pool, toolWishes.value, false);
  if (!tools.ok) return tools;
  const asked = askedOf(pool, template.packages, packages.value);
  return ok({ packages: packages.value, tools: tools.value, asked });
}

function askedOf(
  pool: Pool,
  wishes: readonly PackageWish[],
  chosen: readonly LockedPackage[],
): Readonly<Record<string, readonly string[]>> {
  const here = new Set(chosen.map((p) => p.name));
  const asked = wishes.map((wish): [string, readonly string[]] => {
    const ids = candidatesFor(pool, wish).flatMap((w) => w.candidates);
    const names = new Set(ids.map((id) => pool.package(id).record.name));
    return [wishText(wish), [...names].filter((name) => here.has(name)).sort(byCodeUnit)];
  });
  return Object.fromEntries(asked.sort(([a], [b]) => byCodeUnit(a, b)));
}

function wishesOf(
  pool: Pool,
  template: RpmTemplate,
  wanted: readonly PackageWish[],
): Result<readonly Wish[]> {
  const wishes: Wish[] = [];
  const unknown: Failure[] = [];
  for (const wish of wanted) {
    const found = candidatesFor(pool, wish);
    if (found.length === 0) unknown.push(noSuchPackage(pool, template, wish));
    wishes.push(...found);
  }
  const [first, ...also] = unknown;
  if (first === undefined) return ok(wishes);
  return err(also.length === 0 ? first : { ...first, also });
}

/** A pattern stands for every name that it fits; otherwise a package by its name, or by what it provides. */
function candidatesFor(pool: Pool, wish: PackageWish): readonly Wish[] {
  const fits = (p: PoolPackage): boolean =>
    wish.version === undefined || isVersion(p, wish.version);
  const named = (name: string): Wish => ({
    text: name,
    candidates: pool
      .named(name)
      .filter(fits)
      .map((p) => p.id),
  });
  if (/[*?[]/.test(wish.name)) {
    const pattern = globPattern(wish.name);
    const names = [...pool.names()].filter((name) => pattern.test(name)).sort(byCodeUnit);
    return names.map(named).filter((w) => w.candidates.length > 0);
  }
  const own = named(wish.name);
  if (own.candidates.length > 0) return [own];
  const text = wish.version === undefined ? wish.name : `${wish.name} = ${wish.version}`;
  const parsed = parseDependency(text);
  const candidates = parsed === undefined ? [] : pool.providers(parsed);
  if (candidates.length > 0) return [{ text, candidates }];
  // `name_version`, as os-image-composer pins; a name may hold the same letters, and goes before.
  const pinned = wish.version === undefined ? PINNED.exec(wish.name) : null;
  return pinned === null
    ? []
    : candidatesFor(pool, { ...wish, name: pinned[1] ?? '', version: pinned[2] ?? '' });
}

const PINNED = /^(.+)_([0-9][^_]*)$/;

/** `1.2`, `1.2-3` or `1:1.2-3`. */
const isVersion = ({ record }: PoolPackage, wanted: string): boolean =>
  [record.version, `${record.version}-${record.release}`, versionOf(record)].includes(wanted);

/** Shell patterns (glob(7)): `*`, `?` and `[ ]`. */
function globPattern(glob: string): RegExp {
  const text = glob
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  try {
    return new RegExp(`^${text.replaceAll('[!', '[^')}$`);
  } catch (e) {
    // A bracket that is not closed stands for itself.
    if (e instanceof SyntaxError) return new RegExp(`^${text.replaceAll('[', '\\[')}$`);
    throw e;
  }
}

function noSuchPackage(pool: Pool, template: RpmTemplate, wish: PackageWish): Failure {
  const versions = pool.named(wish.name).map((p) => versionOf(p.record));
  const near = versions.length === 0 ? didYouMean(wish.name, pool.names()) : undefined;
  const help =
    versions.length > 0
      ? `there is ${versions.join(', ')}`
      : near === undefined
        ? 'check the name and the repositories'
        : `did you mean "${near}"?`;
  return failure('PK031', 2, `no package ${wishText(wish)} in the repositories of the template`, {
    help,
    ...(wish.span.length === 0 ? {} : { places: [{ file: template.file, span: wish.span }] }),
  });
}

function choose(
  pool: Pool,
  wishes: readonly Wish[],
  recommends: boolean,
): Result<readonly LockedPackage[]> {
  const solution = solve(pool, wishes, { recommends });
  if (!solution.ok) return err(contradiction(pool, solution.conflict));
  const reasons = reasonsFor(pool, wishes, solution.chosen);
  const needs = needsOf(pool, solution.chosen);
  const common = commonPart(pool, solution.chosen, needs);
  return ok(
    solution.chosen
      .map((id) => pool.package(id))
      .map(({ record, source, id }) => ({
        name: record.name,
        version: versionOf(record),
        architecture: record.arch,
        sha256: digestOfHex(record.sha256),
        size: record.size,
        path: record.location,
        source,
        step: common.has(id) ? 0 : 1,
        manual: wishes.some((w) => w.candidates.includes(id)),
        reason: reasons.get(id) ?? 'supplements what is installed',
        needs: needs.get(id) ?? [],
      }))
      .sort((a, b) => byCodeUnit(a.name, b.name) || byCodeUnit(a.architecture, b.architecture)),
  );
}

/** Who asked for each package: what the template names first, then requires from there on, then what is recommended. */
function reasonsFor(
  pool: Pool,
  wishes: readonly Wish[],
  chosen: readonly number[],
): ReadonlyMap<number, string> {
  const here = new Set(chosen);
  const reasons = new Map<number, string>();
  for (const { text, candidates } of wishes)
    for (const id of candidates)
      if (here.has(id) && !reasons.has(id))
        reasons.set(
          id,
          pool.package(id).record.name === text ? 'asked for' : `asked for (${text})`,
        );
  // The map grows while it is walked: a Map's iterator visits what is added behind it.
  for (const list of ['requires', 'recommends'] as const)
    for (const owner of reasons.keys())
      for (const dependency of pool.list(pool.package(owner), list))
        for (const name of namesIn(dependency))
          for (const id of pool.providers(name)) {
            if (!here.has(id) || reasons.has(id)) continue;
            const field = list === 'requires' ? 'Requires' : 'Recommends';
            const by = pool.package(owner).record.name;
            reasons.set(id, `needed by ${by} (${field}: ${dependencyText(dependency)})`);
          }
  return reasons;
}

/** PK030: the rules that cannot all hold, from what is asked for down. */
function contradiction(pool: Pool, rules: readonly Rule[]): Failure {
  const asked = rules.filter((r) => r.kind === 'asked');
  const lines = [...new Set([...asked, ...fromThere(asked, rules)].map((r) => ruleText(pool, r)))];
  const details =
    lines.length > MAX_LINES
      ? [...lines.slice(0, MAX_LINES), `… and ${lines.length - MAX_LINES} more`]
      : lines;
  const what = asked.map((r) => r.text).join(', ');
  return failure(
    'PK030',
    2,
    asked.length > 1 ? `${what} cannot be installed together` : `${what} cannot be installed`,
    {
      details,
      help: 'ask for other packages or versions, or add a repository that has what is missing',
    },
  );
}

/** Rules in the order in which they are met on the way from what is asked for. */
function fromThere(asked: readonly Rule[], rules: readonly Rule[]): readonly Rule[] {
  const reached = new Set(asked.flatMap((r) => r.literals));
  const ordered = new Set<Rule>();
  // The set grows while it is walked: a Set's iterator visits what is added behind it.
  for (const id of reached)
    for (const rule of rules) {
      if (rule.owner !== id || rule.kind === 'asked') continue;
      ordered.add(rule);
      for (const literal of rule.literals) if (literal > 0) reached.add(literal);
    }
  return [...ordered, ...rules.filter((r) => r.kind !== 'asked' && !ordered.has(r))];
}

function ruleText(pool: Pool, rule: Rule): string {
  const owner = rule.owner === undefined ? '' : pool.text(rule.owner);
  const others = rule.literals.filter((l) => Math.abs(l) !== rule.owner);
  const list = (ids: readonly number[]): string =>
    ids.map((id) => pool.text(Math.abs(id))).join(', ');
  switch (rule.kind) {
    case 'asked':
      return `${rule.text} is asked for: ${list(rule.literals)}`;
    case 'missing':
      return `${owner} needs ${rule.text}, which nothing provides`;
    case 'requires':
      return `${owner} needs ${rule.text}: ${list(others)}`;
    case 'conflicts':
      return others.length === 0
        ? `${owner} conflicts with ${rule.text}, which always holds`
        : `${owner} conflicts with ${rule.text}: ${list(others)}`;
    case 'obsoletes':
      return `${owner} obsoletes ${rule.text}: ${list(others)}`;
    case 'same-name':
      return `only one ${rule.text} can be installed: ${list(rule.literals)}`;
    case 'inferior':
      return `${owner} is left out: there is one for a better architecture`;
  }
}
