import type { z } from 'zod';
import { err, failure, ok, type Result, type SourceFile, type Span } from '../base/index.ts';
import {
  type OsDocument,
  type OsPart,
  type OsPartition,
  type OsRepository,
  type OsUser,
  osPartSchema,
  osSchema,
} from './os-schema.ts';
import { joined, type ParsedYaml, parseYaml } from './yaml-schema.ts';

/** A value and the place where it is written. */
export interface Placed<T> {
  readonly value: T;
  readonly file: SourceFile;
  readonly span: Span;
}

/** A template for a bootable disk: its parents merged in, lists with the place of each element. */
export interface OsTemplate {
  readonly kind: 'os-image';
  /** The file that was named. */
  readonly file: SourceFile;
  readonly image: OsDocument['image'];
  readonly target: OsDocument['target'];
  readonly disk: OsDocument['disk'];
  readonly system: Omit<
    NonNullable<OsDocument['systemConfig']>,
    'users' | 'packages' | 'additionalFiles' | 'configurations'
  >;
  readonly users: readonly Placed<OsUser>[];
  readonly packages: readonly Placed<string>[];
  readonly files: readonly Placed<{ readonly local: string; readonly final: string }>[];
  readonly commands: readonly Placed<string>[];
  readonly repositories: readonly Placed<OsRepository>[];
  /** Where a value at a path of the file that was named stands, or of the nearest that is written. */
  readonly at: (path: readonly PropertyKey[]) => { readonly file: SourceFile; readonly span: Span };
}

/** Whether a YAML text is a template for a disk: only those have these tables. */
export const isOsTemplate = (text: string): boolean =>
  /^(?:image|target|systemConfig|extends)\s*:/m.test(text);

/** One file of a chain of `extends`. */
export interface OsLayer {
  readonly file: SourceFile;
  readonly parsed: ParsedYaml<OsPart>;
}

/** Parses one file; problems carry line and column. */
export function parseOsPart(file: SourceFile): Result<OsLayer> {
  const parsed = parseYaml<OsPart>(file, osPartSchema);
  return parsed.ok ? ok({ file, parsed: parsed.value }) : parsed;
}

/**
 * Merges a chain, the file that was named first and its farthest ancestor last. Tables are taken key by key, `disk` and
 * `kernel.packages` whole; packages, commands and repositories of ancestors come first; users by name, files by
 * destination and repositories by codename replace those of ancestors. TP003, TP004: what the result lacks.
 */
export function mergeOsTemplate(chain: readonly OsLayer[]): Result<OsTemplate> {
  const [own] = chain;
  if (own === undefined) throw new Error('a chain has at least one file');
  const merged = tables(chain);
  const checked = osSchema.safeParse(merged);
  if (!checked.success) return err(joined(checked.error.issues.map((i) => lacking(own, i))));
  const {
    users: _u,
    packages: _p,
    additionalFiles: _f,
    configurations: _c,
    ...system
  } = checked.data.systemConfig ?? {};
  const template: OsTemplate = {
    kind: 'os-image',
    file: own.file,
    image: checked.data.image,
    target: checked.data.target,
    disk: checked.data.disk,
    system,
    users: replacing(
      collect(chain, USERS, (p) => p.systemConfig?.users),
      (u) => u.name,
    ),
    packages: replacing(
      collect(chain, PACKAGES, (p) => p.systemConfig?.packages),
      (name) => name,
    ),
    files: replacing(
      collect(chain, FILES, (p) => p.systemConfig?.additionalFiles),
      (f) => f.final,
    ),
    commands: collect(chain, COMMANDS, (p) => p.systemConfig?.configurations?.map((c) => c.cmd)),
    repositories: replacing(
      collect(chain, ['packageRepositories'], (p) => p.packageRepositories),
      (r) => r.codename ?? r.url ?? r.path ?? '',
    ),
    at: (path) => placeOf(chain, path),
  };
  const problems = contradictions(template);
  return problems.length === 0 ? ok(template) : err(joined(problems));
}

const USERS = ['systemConfig', 'users'];
const PACKAGES = ['systemConfig', 'packages'];
const FILES = ['systemConfig', 'additionalFiles'];
const COMMANDS = ['systemConfig', 'configurations'];

/** Ancestors first; each key of a nearer file wins. */
function tables(chain: readonly OsLayer[]): OsPart {
  let merged: OsPart = {};
  for (const { parsed } of [...chain].reverse()) {
    const { extends: _, ...part } = parsed.value;
    const system = { ...merged.systemConfig, ...part.systemConfig };
    const both = (key: 'kernel' | 'bootloader' | 'immutability'): object => {
      const [a, b] = [merged.systemConfig?.[key], part.systemConfig?.[key]];
      return a === undefined && b === undefined ? {} : { [key]: { ...a, ...b } };
    };
    merged = {
      ...merged,
      ...part,
      ...(merged.systemConfig === undefined && part.systemConfig === undefined
        ? {}
        : {
            systemConfig: {
              ...system,
              ...both('kernel'),
              ...both('bootloader'),
              ...both('immutability'),
            },
          }),
    };
  }
  return merged;
}

function collect<T>(
  chain: readonly OsLayer[],
  path: readonly string[],
  list: (part: OsPart) => readonly T[] | undefined,
): Placed<T>[] {
  return [...chain].reverse().flatMap(({ file, parsed }) =>
    (list(parsed.value) ?? []).map((value, i) => ({
      value,
      file,
      span: parsed.span([...path, i]),
    })),
  );
}

/** Later entries stand in the place of earlier ones of the same name. */
function replacing<T>(all: readonly Placed<T>[], name: (value: T) => string): Placed<T>[] {
  const map = new Map<string, Placed<T>>();
  for (const placed of all) map.set(name(placed.value), placed);
  return [...map.values()];
}

/** The nearest file that has the path, or else the file that was named. */
function placeOf(
  chain: readonly OsLayer[],
  path: readonly PropertyKey[],
): { readonly file: SourceFile; readonly span: Span } {
  const has = (part: unknown): boolean => {
    let at: unknown = part;
    for (const key of path) {
      if (typeof at !== 'object' || at === null || !(key in at)) return false;
      // Just found to be a key of it.
      at = (at as Readonly<Record<PropertyKey, unknown>>)[key];
    }
    return at !== undefined;
  };
  const layer = chain.find(({ parsed }) => has(parsed.value)) ?? chain[0];
  if (layer === undefined) throw new Error('a chain has at least one file');
  return { file: layer.file, span: layer.parsed.span(path) };
}

function lacking(own: OsLayer, issue: z.core.$ZodIssue): ReturnType<typeof failure> {
  return failure('TP003', 2, `${issue.path.map(String).join('.')}: is required`, {
    places: [{ file: own.file, span: own.parsed.span(issue.path) }],
  });
}

function contradictions(t: OsTemplate): ReturnType<typeof failure>[] {
  const found: ReturnType<typeof failure>[] = [];
  const say = (
    place: { readonly file: SourceFile; readonly span: Span },
    message: string,
    help: string,
  ): void => void found.push(failure('TP004', 2, message, { help, places: [place] }));
  for (const repository of t.repositories) {
    const { url, path, pkey, pkeys } = repository.value;
    if ((url === undefined) === (path === undefined))
      say(repository, 'a repository has either url or path', 'write one of them');
    if (url !== undefined && /^https?:\/\/[^/]*@/.test(url))
      say(
        repository,
        'a repository URL must not carry credentials',
        'put them into /etc/apt/auth.conf.d (apt_auth.conf(5))',
      );
    if (pkey !== undefined && pkeys !== undefined)
      say(repository, 'a repository has either pkey or pkeys', 'write one of them');
  }
  const seen = new Set<string>();
  t.disk?.partitions?.forEach((partition: OsPartition, i) => {
    const id = partition.id ?? partition.name ?? String(i);
    if (seen.has(id))
      say(t.at(['disk', 'partitions', i]), `two partitions are called ${id}`, 'rename one');
    seen.add(id);
  });
  const immutable = t.system.immutability;
  if (immutable !== undefined) {
    const keys = [
      immutable.secureBootDBKey,
      immutable.secureBootDBCrt,
      immutable.secureBootDBCer,
    ].filter((k) => k !== undefined);
    if (keys.length > 0 && (keys.length < 3 || !immutable.enabled))
      say(
        t.at(['systemConfig', 'immutability']),
        'Secure Boot wants all three keys, and immutability enabled',
        'give secureBootDBKey, secureBootDBCrt and secureBootDBCer, or none',
      );
  }
  return found;
}
