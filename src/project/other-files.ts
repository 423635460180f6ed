import {
  err,
  type FailurePlace,
  failure,
  isRecord,
  ok,
  type Result,
  type SourceFile,
} from '../base/index.ts';
import { type ParsedYaml, parseYaml } from '../template/index.ts';
import { type BakeOverride, mergeBakeFiles } from './bake-merge.ts';
import { PROJECT, parseProject, targetParser } from './parse.ts';
import type { Project } from './project.ts';
import { bakeSchema, composeSchema } from './schema.ts';
import { readTargets } from './targets.ts';
import { declaredVariables, expandAll } from './variables.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Names under which a project file is looked for, the first one that is there counts. */
export const PROJECT_FILES = [
  'varve.yml',
  'varve.yaml',
  'docker-bake.json',
  'docker-bake.override.json',
  'compose.yaml',
  'compose.yml',
  'docker-compose.yml',
  'docker-compose.yaml',
  'docker-bake.hcl',
] as const;

/** Parses a project file of any kind by its name; `overrides` are `--set` of a command line. */
export function parseProjectFile(
  file: SourceFile,
  env: Env,
  overrides: readonly BakeOverride[] = [],
): Result<Project> {
  const name = file.path.replace(/^.*\//, '');
  if (name.endsWith('.hcl'))
    return err(
      failure('PJ006', 2, `${file.path} is HCL, which is not read here`, {
        help: 'convert it once: docker buildx bake --print > docker-bake.json',
      }),
    );
  if (name.endsWith('.json')) return parseBakeFiles([file], env, overrides);
  // varve.yml has no services, and a Compose file without any has nothing to build.
  if (/compose/.test(name) || /^services:/m.test(file.text))
    return parseCompose(file, env, overrides);
  return parseProject(file, env, overrides);
}

/**
 * `docker-bake.json`: variables, groups and targets with inheritance and matrices (docs.docker.com, Bake file reference).
 * Several files are laid over each other.
 */
export function parseBakeFiles(
  files: readonly [SourceFile, ...SourceFile[]],
  env: Env,
  overrides: readonly BakeOverride[],
): Result<Project> {
  const read: { readonly raw: Raw; readonly place: (path: Path) => FailurePlace }[] = [];
  for (const file of files) {
    let raw: unknown;
    const parsed = parseYaml(file, bakeSchema, {
      ...PROJECT,
      prepare: (data) => {
        raw = data;
        return ok(data);
      },
    });
    if (!parsed.ok) return parsed;
    const { span } = parsed.value;
    read.push({
      raw: isRecord(raw) ? raw : {},
      place: (path) => ({ file, span: span(path) }),
    });
  }
  const merged = mergeBakeFiles(read.map(({ raw }) => raw));
  const targets = isRecord(merged['target']) ? merged['target'] : {};
  // A target is shown in the last file that has it.
  const place = (path: Path): FailurePlace => {
    const [kind = '', name = ''] = path.map(String);
    const has = ({ raw }: { readonly raw: Raw }): boolean => {
      const blocks = raw[kind];
      return isRecord(blocks) && name in blocks;
    };
    const owner = read.findLast(has) ?? read.at(-1);
    return owner?.place(path) ?? { file: files[0], span: { offset: 0, length: 1 } };
  };
  const made = readTargets(targets, targetParser(place, ['target']), {
    expansion: { variables: declaredVariables(merged['variable'], env), env },
    overrides,
    at: (name) => place(['target', name]),
  });
  if (!made.ok) return made;
  const groups = isRecord(merged['group']) ? Object.entries(merged['group']) : [];
  return ok({
    ...empty(files[0], 'bake'),
    targets: made.value.targets,
    groups: new Map([
      ...made.value.matrices,
      ...groups.map(([name, group]) => [name, membersOf(group)] as const),
    ]),
  });
}

type Raw = Readonly<Record<string, unknown>>;
type Path = readonly PropertyKey[];

const membersOf = (group: unknown): readonly string[] =>
  isRecord(group) ? listOf(group['targets']) : [];

/** The `build` sections of a Compose file (compose-spec, build.md); a service's `image` names what is built. */
function parseCompose(
  file: SourceFile,
  env: Env,
  overrides: readonly BakeOverride[],
): Result<Project> {
  const parsed: Result<ParsedYaml<import('zod').infer<typeof composeSchema>>> = parseYaml(
    file,
    composeSchema,
    {
      ...PROJECT,
      prepare: (data, at) => {
        const expansion = { variables: new Map(), env, lenient: true };
        return expandAll(data, expansion, {
          raw: (path) => path.includes('dockerfile_inline'),
          at,
        });
      },
    },
  );
  if (!parsed.ok) return parsed;
  const { span, value } = parsed.value;
  const place = (path: readonly PropertyKey[]): FailurePlace => ({ file, span: span(path) });
  const targets = Object.entries(value.services).flatMap(([name, { image, build }]) => {
    if (build === undefined) return [];
    const own = 'args' in build ? build : { ...build };
    const more: Readonly<Record<string, unknown>> = own;
    const take = (from: string): unknown => more[from];
    const tags = [...(image === undefined ? [] : [image]), ...listOf(take('tags'))];
    const wanted: Record<string, unknown> = {
      context: take('context'),
      dockerfile: take('dockerfile'),
      'dockerfile-inline': take('dockerfile_inline'),
      args: take('args'),
      contexts: serviceContexts(take('additional_contexts')),
      labels: take('labels'),
      tags: tags.length === 0 ? undefined : tags,
      target: take('target'),
      platforms: take('platforms'),
      'cache-from': take('cache_from'),
      'cache-to': take('cache_to'),
      'no-cache': take('no_cache'),
      pull: take('pull'),
      network: take('network'),
      'shm-size': take('shm_size'),
      ssh: take('ssh'),
      attest: serviceAttestations(more),
      entitlements: take('entitlements'),
    };
    const given = Object.entries(wanted).filter(([, item]) => item !== undefined);
    return [[name, Object.fromEntries(given)] as const];
  });
  const read = readTargets(Object.fromEntries(targets), targetParser(place, ['services']), {
    // The document was expanded; a dollar sign that is left is meant.
    expansion: { variables: new Map(), env: {}, lenient: true },
    overrides,
    at: (name) => place(['services', name]),
  });
  if (!read.ok) return read;
  return ok({ ...empty(file, value.name ?? 'compose'), targets: read.value.targets });
}

const listOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** `provenance` and `sbom` of the Compose specification's build section: true, false or parameters. */
function serviceAttestations(
  build: Readonly<Record<string, unknown>>,
): readonly string[] | undefined {
  const wanted = ['provenance', 'sbom'].flatMap((type) => {
    const value = build[type];
    if (typeof value === 'boolean') return [`type=${type},disabled=${!value}`];
    if (typeof value !== 'string') return [];
    return [
      /^(?:true|false)$/.test(value)
        ? `type=${type},disabled=${value === 'false'}`
        : `type=${type},${value}`,
    ];
  });
  return wanted.length === 0 ? undefined : wanted;
}

/** `service:NAME` is what bake calls `target:NAME`. */
function serviceContexts(value: unknown): unknown {
  if (!isRecord(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).map(([name, where]) => [
      name,
      typeof where === 'string' ? where.replace(/^service:/, 'target:') : where,
    ]),
  );
}

const empty = (file: SourceFile, name: string): Project => ({
  file,
  name,
  store: { fallback: [], span: { offset: 0, length: 1 } },
  cacheFrom: [],
  layers: new Map(),
  images: new Map(),
  targets: new Map(),
  groups: new Map(),
});
