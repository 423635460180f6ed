import { byCodeUnit, type GoJson } from '../base/index.ts';
import type { DiskReport } from './disk-report.ts';

/** What is compared of a disk or a template: texts by name. */
export interface Comparable {
  /** Layout, kernel, system and accounts. */
  readonly facts: ReadonlyMap<string, string>;
  /** Versions by name. */
  readonly packages: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
}

/** One difference; without `from` it is new, without `to` it is gone. */
export interface Difference {
  readonly name: string;
  readonly from?: string;
  readonly to?: string;
}

/** What differs between two of them, by name. */
export interface Comparison {
  readonly equal: boolean;
  readonly facts: readonly Difference[];
  readonly packages: readonly Difference[];
  readonly files: readonly Difference[];
}

/** Compares two disks, or two templates. */
export function compareAll(a: Comparable, b: Comparable): Comparison {
  const [facts, packages, files] = [
    differing(a.facts, b.facts),
    differing(a.packages, b.packages),
    differing(a.files, b.files),
  ];
  return {
    equal: [facts, packages, files].every((list) => list.length === 0),
    facts,
    packages,
    files,
  };
}

function differing(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): Difference[] {
  return [...new Set([...a.keys(), ...b.keys()])].sort(byCodeUnit).flatMap((name) => {
    const [from, to] = [a.get(name), b.get(name)];
    if (from === to) return [];
    return [{ name, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }];
  });
}

/** What is compared of a disk. The name of the format is no part of it: a converted disk is the same. */
export function comparableDisk(r: DiskReport): Comparable {
  const facts = new Map<string, string>([
    ['size', String(r.size)],
    ['partition table', `${r.table?.kind ?? 'none'} ${r.table?.id ?? ''}`],
    ['host name', r.hostname],
  ]);
  for (const [name, value] of Object.entries(r.system)) facts.set(`os-release ${name}`, value);
  for (const { index, fs, name, ...p } of r.partitions)
    for (const [key, value] of Object.entries({ name, ...p, ...flat('fs', fs) }))
      facts.set(`partition ${index} ${key}`, String(value));
  for (const { path, sections, commandLine, signed } of r.programs) {
    facts.set(`${path} signed`, signed ? 'yes' : 'no');
    for (const { name, size, digest } of sections)
      facts.set(`${path} ${name}`, `${size} bytes ${digest}`);
    if (commandLine !== undefined) facts.set(`${path} arguments`, commandLine);
  }
  for (const { name, ...user } of r.users)
    for (const [key, value] of Object.entries(user))
      facts.set(`user ${name} ${key}`, String(value));
  return {
    facts,
    packages: new Map(r.packages.map((p) => [p.id, p.version])),
    files: new Map(
      r.files.map((f) => [
        f.path,
        [f.type, f.mode, f.owner, f.type === 'file' ? `${f.size} bytes` : '', f.digest, f.link]
          .filter((part) => part !== undefined && part !== '')
          .join(' '),
      ]),
    ),
  };
}

function flat(prefix: string, value: object | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value ?? {}).map(([key, v]) => [
      `${prefix} ${key}`,
      typeof v === 'object' ? JSON.stringify(v) : String(v),
    ]),
  );
}

/** Every value of a document with its path, as facts to compare. */
export function flatFacts(value: GoJson, path = ''): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[path, JSON.stringify(value)]];
  const entries = Array.isArray(value)
    ? value.map((v, i) => [String(i), v] as const)
    : Object.entries(value);
  return entries.flatMap(([key, v]) =>
    v === undefined ? [] : flatFacts(v as GoJson, path === '' ? key : `${path}.${key}`),
  );
}
