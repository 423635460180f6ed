import {
  didYouMean,
  err,
  type Failure,
  failure,
  isRecord,
  ok,
  type Result,
} from '../base/index.ts';

type Raw = Readonly<Record<string, unknown>>;

/** Members are merged by name; those of the layer above that are null change nothing (docs.docker.com, Bake file reference). */
const MAPS: readonly string[] = ['args', 'contexts', 'labels', 'extra-hosts'];
/** Lists whose items add up; every other key is replaced. */
const LISTS: readonly string[] = [
  ...['cache-from', 'secret', 'ssh', 'no-cache-filter', 'ulimits', 'annotations', 'attest'],
  'entitlements',
];

/** A target with another laid over it, as bake does it for inheritance and for several files. */
export function mergeTarget(below: Raw, over: Raw): Raw {
  const merged: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    if (value === null && before !== undefined) continue;
    if (MAPS.includes(key) && isRecord(before) && isRecord(value))
      merged[key] = { ...before, ...withoutNull(value) };
    else if (LISTS.includes(key) && before !== undefined)
      merged[key] = unique([...listOf(before), ...listOf(value)]);
    else merged[key] = value;
  }
  return merged;
}

const withoutNull = (map: Raw): Raw =>
  Object.fromEntries(Object.entries(map).filter(([, value]) => value !== null));

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];

function unique(items: readonly unknown[]): readonly unknown[] {
  const seen = new Set<string>();
  return items.filter((item) => {
    const key = JSON.stringify(item);
    return !seen.has(key) && seen.add(key).size > 0;
  });
}

/** Bake files laid over each other: targets are merged, groups and variables are those of the last file that has them. */
export function mergeBakeFiles(files: readonly Raw[]): Raw {
  const merged: Record<string, Record<string, unknown>> = {};
  for (const file of files)
    for (const [kind, blocks] of Object.entries(file)) {
      if (!isRecord(blocks)) continue;
      const own = (merged[kind] ??= {});
      for (const [name, block] of Object.entries(blocks)) {
        const before = own[name];
        own[name] =
          kind === 'target' && isRecord(before) && isRecord(block)
            ? mergeTarget(before, block)
            : block;
      }
    }
  return merged;
}

/** `--set PATTERN.KEY[.SUBKEY]=VALUE`, or `+=` to add to a list. */
export interface BakeOverride {
  readonly text: string;
  /** Of the names of targets; `*`, `?` and classes as path.Match of Go has them. */
  readonly pattern: string;
  readonly key: string;
  readonly sub?: string;
  readonly value: string;
  readonly adds: boolean;
}

const ARRAYS: Readonly<Record<string, string>> = {
  tags: 'tags',
  platform: 'platforms',
  'cache-from': 'cache-from',
  'cache-to': 'cache-to',
  output: 'output',
  secrets: 'secret',
  ssh: 'ssh',
  'no-cache-filter': 'no-cache-filter',
  ulimits: 'ulimits',
  annotations: 'annotations',
  attest: 'attest',
  entitlements: 'entitlements',
};
const TEXTS: readonly string[] = ['context', 'dockerfile', 'target', 'network', 'shm-size'];
const BOOLEANS: readonly string[] = ['no-cache', 'pull'];
const KEYS: readonly string[] = [
  ...['args', 'contexts', 'labels'],
  ...Object.keys(ARRAYS),
  ...TEXTS,
  ...BOOLEANS,
];

/** Reads the values of `--set`. A boolean key without a value is true; a map's member without one is the environment's. */
export function parseOverrides(
  texts: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Result<readonly BakeOverride[]> {
  const overrides: BakeOverride[] = [];
  for (const text of texts) {
    const parsed = parseOverride(text, env);
    if (!parsed.ok) return parsed;
    overrides.push(parsed.value);
  }
  return ok(overrides);
}

function parseOverride(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Result<BakeOverride> {
  const match = /^([^.=]+)\.([a-z-]+)(?:\.([^=]+?))?(?:(\+?=)([\s\S]*))?$/.exec(text);
  const [, pattern = '', key = '', sub, operator] = match ?? [];
  if (match === null)
    return err(
      wrong(text, 'not of the form TARGET.KEY=VALUE', 'for example --set "*.platform=linux/arm64"'),
    );
  if (!KEYS.includes(key)) {
    const near = didYouMean(key, KEYS);
    return err(
      wrong(
        text,
        `unknown key "${key}"`,
        near === undefined ? `known keys: ${KEYS.join(', ')}` : `did you mean "${near}"?`,
      ),
    );
  }
  const isMap = key === 'args' || key === 'contexts' || key === 'labels';
  if (isMap !== (sub !== undefined))
    return err(
      isMap
        ? wrong(text, `"${key}" needs a name`, `write TARGET.${key}.NAME=VALUE`)
        : wrong(text, `"${key}" has no members`, `write TARGET.${key}=VALUE`),
    );
  if (operator === '+=' && ARRAYS[key] === undefined)
    return err(wrong(text, `"${key}" is no list`, 'write = instead of +='));
  const given = match[5] ?? (isMap ? env[sub ?? ''] : BOOLEANS.includes(key) ? 'true' : undefined);
  if (given === undefined) return err(wrong(text, 'has no value', `write TARGET.${key}=VALUE`));
  if (BOOLEANS.includes(key) && given !== 'true' && given !== 'false')
    return err(wrong(text, `"${given}" is not true or false`, 'write true or false'));
  return ok({
    ...{ text, pattern, key, value: given, adds: operator === '+=' },
    ...(sub === undefined ? {} : { sub }),
  });
}

const wrong = (text: string, why: string, help: string): Failure =>
  failure('CL002', 2, `--set ${JSON.stringify(text)}: ${why}`, { help });

/** A target with the overrides that name it; several of one list are all meant. */
export function overrideTarget(name: string, target: Raw, overrides: readonly BakeOverride[]): Raw {
  const changed: Record<string, unknown> = { ...target };
  const replaced = new Set<string>();
  for (const { pattern, key, sub, value, adds } of overrides) {
    if (!matchesName(pattern, name)) continue;
    const list = ARRAYS[key];
    if (sub !== undefined) {
      const before = changed[key];
      changed[key] = { ...(isRecord(before) ? before : {}), [sub]: value };
    } else if (list !== undefined) {
      const keeps = adds || replaced.has(list);
      changed[list] = [...(keeps ? listOf(changed[list]) : []), value];
      replaced.add(list);
    } else changed[key] = BOOLEANS.includes(key) ? value === 'true' : value;
  }
  return changed;
}

/** `*` and `?`, and classes in brackets (Go, path.Match). */
export function matchesName(pattern: string, name: string): boolean {
  const source = pattern.replace(/\[\^?[^\]]+\]|[\s\S]/g, (part) => {
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    return part.length > 1 ? part : part.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  });
  return new RegExp(`^${source}$`).test(name);
}
