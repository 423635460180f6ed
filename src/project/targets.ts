import type { z } from 'zod';
import {
  didYouMean,
  err,
  type Failure,
  type FailurePlace,
  failure,
  isRecord,
  ok,
  type Result,
} from '../base/index.ts';
import { type BakeOverride, mergeTarget, overrideTarget } from './bake-merge.ts';
import type { TargetSpec } from './project.ts';
import type { targetSchema } from './schema.ts';
import { type Expansion, expandAll, type Variables } from './variables.ts';

/** A target as it is written. */
export type RawTarget = z.infer<typeof targetSchema>;

/** How targets are read. */
export interface TargetReading {
  readonly expansion: Expansion;
  /** `--set`. */
  readonly overrides?: readonly BakeOverride[];
  readonly at: (name: string) => FailurePlace;
}

/** What came of the targets of a file. */
export interface ReadTargets {
  readonly targets: ReadonlyMap<string, TargetSpec>;
  /** Targets that became several by their matrix, with the names of these. */
  readonly matrices: ReadonlyMap<string, readonly string[]>;
}

/** Targets with what they inherit, and one for each combination of a matrix (docs.docker.com, Bake file reference). */
export function readTargets(
  raw: Readonly<Record<string, unknown>>,
  parse: (data: unknown, name: string) => Result<RawTarget>,
  reading: TargetReading,
): Result<ReadTargets> {
  const targets = new Map<string, TargetSpec>();
  const matrices = new Map<string, readonly string[]>();
  for (const name of Object.keys(raw)) {
    const flat = inherited(raw, name, reading, []);
    if (!flat.ok) return flat;
    const names: string[] = [];
    for (const values of combinations(flat.value['matrix'])) {
      const variables: Variables = new Map([...reading.expansion.variables, ...values]);
      const expanded = expandAll(
        flat.value,
        { ...reading.expansion, variables },
        {
          raw: (path) => path[0] === 'dockerfile-inline' || path[0] === 'matrix',
          at: () => reading.at(name),
        },
      );
      if (!expanded.ok) return expanded;
      const made = isRecord(expanded.value) ? expanded.value : {};
      const own = values.size === 0 ? name : nameOf(made['name'], name, values);
      const overrides = values.size === 0 ? [] : (reading.overrides ?? []);
      const checked = parse(overrideTarget(own, made, overrides), name);
      if (!checked.ok) return checked;
      if (targets.has(own))
        return err(
          failure('PJ004', 2, `two builds of the matrix of "${name}" are called "${own}"`, {
            help: 'give the target a name with the variables of its matrix',
            places: [reading.at(name)],
          }),
        );
      const { lenient } = reading.expansion;
      targets.set(
        own,
        targetSpec(own, lenient === true ? checked.value : withoutNulls(checked.value)),
      );
      names.push(own);
    }
    if (names.length !== 1 || names[0] !== name) matrices.set(name, names);
  }
  return ok({ targets, matrices });
}

const nameOf = (given: unknown, name: string, values: ReadonlyMap<string, string>): string =>
  typeof given === 'string' ? given : matrixName(name, values);

/** An argument that is null has no value here: that of the Dockerfile counts. In Compose it is the environment's. */
function withoutNulls(target: RawTarget): RawTarget {
  const args = Object.entries(target.args ?? {}).filter(([, value]) => value !== null);
  return { ...target, args: Object.fromEntries(args) };
}

type Flat = Readonly<Record<string, unknown>>;

/** The keys of a target over those of the targets it inherits from; maps are merged, everything else is replaced. */
function inherited(
  raw: Flat,
  name: string,
  reading: TargetReading,
  path: readonly string[],
): Result<Flat> {
  if (path.includes(name)) return err(cycle('inherits', [...path, name], reading.at(name)));
  const own = raw[name];
  if (typeof own !== 'object' || own === null) {
    const from = path.at(-1) ?? name;
    return err(unknownName('target', name, Object.keys(raw), reading.at(from)));
  }
  const { inherits: parents, ...rest } = own as Flat; // Checked to be an object above.
  const list = typeof parents === 'string' ? [parents] : Array.isArray(parents) ? parents : [];
  let flat: Flat = {};
  for (const parent of list) {
    const above = inherited(raw, String(parent), reading, [...path, name]);
    if (!above.ok) return above;
    const { matrix: _matrix, name: _name, ...taken } = above.value;
    flat = mergeTarget(flat, taken);
  }
  const whole = mergeTarget(flat, rest);
  // The builds of a matrix are known by their own names; a dollar sign of a command line is meant.
  const overrides = 'matrix' in whole ? [] : (reading.overrides ?? []);
  const meant = overrides.map((each) => ({ ...each, value: each.value.replaceAll('$', '$$$$') }));
  return ok(overrideTarget(name, whole, meant));
}

/** `over` laid over `below`; of the named keys the members are merged. */
export function mergeKeys(below: Flat, over: Flat, maps: ReadonlySet<string>): Flat {
  const merged: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    const both = typeof before === 'object' && typeof value === 'object';
    merged[key] = maps.has(key) && both ? { ...before, ...value } : value;
  }
  return merged;
}

/** The variables of every combination; one without variables where there is no matrix. */
function combinations(matrix: unknown): readonly ReadonlyMap<string, string>[] {
  let all: ReadonlyMap<string, string>[] = [new Map()];
  if (typeof matrix !== 'object' || matrix === null) return all;
  for (const [name, values] of Object.entries(matrix)) {
    const list: readonly unknown[] = Array.isArray(values) ? values : [];
    all = all.flatMap((before) =>
      list.map((value) => new Map([...before, ...variablesOf(name, value)])),
    );
  }
  return all;
}

/** A value of a matrix, or an object whose members are `${NAME.MEMBER}`. */
function variablesOf(name: string, value: unknown): readonly (readonly [string, string])[] {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).map(([key, v]) => [`${name}_${key}`, String(v)] as const)
    : [[name, String(value)]];
}

const matrixName = (name: string, values: ReadonlyMap<string, string>): string =>
  [name, ...values.values()].join('-').replace(/[^A-Za-z0-9_-]+/g, '-');

/** The failure of a name that stands for nothing. */
export function unknownName(
  kind: string,
  name: string,
  known: Iterable<string>,
  place: FailurePlace,
): Failure {
  const names = [...known];
  const near = didYouMean(name, names);
  const help =
    near === undefined ? `there are: ${names.join(', ') || 'none'}` : `did you mean "${near}"?`;
  return failure('PJ004', 2, `${kind} "${name}" is not defined`, { help, places: [place] });
}

/** The failure of names that lead back to themselves. */
export function cycle(what: string, path: readonly string[], place: FailurePlace): Failure {
  return failure('PJ004', 2, `${what} goes in a circle: ${path.join(' -> ')}`, { places: [place] });
}

function targetSpec(name: string, raw: RawTarget): TargetSpec {
  const optional = {
    ...(raw.dockerfile === undefined ? {} : { dockerfile: raw.dockerfile }),
    ...(raw['dockerfile-inline'] === undefined
      ? {}
      : { dockerfileInline: raw['dockerfile-inline'] }),
    ...(raw.target === undefined ? {} : { target: raw.target }),
    ...(raw.network === undefined ? {} : { network: raw.network }),
    ...(raw['shm-size'] === undefined ? {} : { shmSize: raw['shm-size'] }),
  };
  return {
    name,
    ...optional,
    context: raw.context ?? '.',
    args: raw.args ?? {},
    contexts: raw.contexts ?? {},
    labels: raw.labels ?? {},
    tags: raw.tags ?? [],
    platforms: raw.platforms ?? [],
    cacheFrom: raw['cache-from'] ?? [],
    cacheTo: raw['cache-to'] ?? [],
    output: raw.output ?? [],
    secret: raw.secret ?? [],
    ssh: raw.ssh ?? [],
    noCache: raw['no-cache'] ?? false,
    noCacheFilter: raw['no-cache-filter'] ?? [],
    pull: raw.pull ?? false,
    ulimits: raw.ulimits ?? [],
    annotations: raw.annotations ?? [],
    attest: raw.attest ?? [],
    entitlements: raw.entitlements ?? [],
    extraHosts: Object.entries(raw['extra-hosts'] ?? {}).map(([host, ip]) => `${host}:${ip}`),
  };
}
