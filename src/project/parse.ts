import {
  err,
  type Failure,
  type FailurePlace,
  failure,
  isRecord,
  ok,
  type Result,
  type SourceFile,
} from '../base/index.ts';
import { joined, type ParsedYaml, parseYaml, type YamlKind } from '../template/index.ts';
import type { BakeOverride } from './bake-merge.ts';
import { layersBelow, readLayers } from './layers.ts';
import type { ImageSpec, LayerSpec, Project } from './project.ts';
import { projectSchema, targetSchema } from './schema.ts';
import { type RawTarget, readTargets, unknownName } from './targets.ts';
import { declaredVariables, type Expansion, expandAll, type Variables } from './variables.ts';

/** The codes of failures in project files. */
export const PROJECT: YamlKind = {
  name: 'project',
  syntax: 'PJ001',
  unknownKey: 'PJ002',
  value: 'PJ003',
};

type Env = Readonly<Record<string, string | undefined>>;

/** Parses `varve.yml`; variables take their values from `env`. Every problem found carries its line and column. */
export function parseProject(
  file: SourceFile,
  env: Env,
  overrides: readonly BakeOverride[] = [],
): Result<Project> {
  let variables: Variables = new Map();
  let targets: unknown;
  const parsed = parseYaml(file, projectSchema, {
    ...PROJECT,
    prepare: (data, at) => {
      if (!isRecord(data)) return ok(data);
      variables = declaredVariables(data['variables'], env);
      // Targets are expanded with the variables of their matrices.
      targets = data['targets'];
      return expandAll(data, { variables, env }, { raw: isRaw, at });
    },
  });
  if (!parsed.ok) return parsed;
  const { value, span } = parsed.value;
  const place = (path: readonly PropertyKey[]): FailurePlace => ({ file, span: span(path) });
  const base = value.base ?? 'scratch';
  const layers = readLayers(value.layers ?? {}, { base, place });
  if (!layers.ok) return layers;
  const read = readTargets(isRecord(targets) ? targets : {}, targetParser(place), {
    expansion: { variables, env },
    overrides,
    at: (name) => place(['targets', name]),
  });
  if (!read.ok) return read;
  const images = readImages(parsed.value, layers.value, { base, place });
  const project: Project = {
    file,
    name: value.name,
    store: {
      ...(value.store?.ref === undefined || value.store.ref === '' ? {} : { ref: value.store.ref }),
      ...(value.store?.push === undefined ? {} : { push: value.store.push }),
      ...(value.store?.scope === undefined || value.store.scope === ''
        ? {}
        : { scope: value.store.scope }),
      fallback: value.store?.fallback ?? [],
      span: span(['store']),
    },
    cacheFrom: value['cache-from'] ?? [],
    layers: layers.value,
    images,
    targets: read.value.targets,
    groups: new Map([...read.value.matrices, ...Object.entries(value.groups ?? {})]),
  };
  const problems = strayNames(project, place);
  return problems.length === 0 ? ok(project) : err(joined(problems));
}

/** Recipes are shell text and Dockerfiles, which have variables of their own. */
function isRaw(path: readonly PropertyKey[]): boolean {
  const [top, , key] = path;
  if (top === 'variables' || top === 'targets') return true;
  return top === 'layers' && (key === 'steps' || key === 'recipe' || key === 'packages');
}

/** Checks an expanded target; its problems are shown where the target begins. */
export function targetParser(
  place: (path: readonly PropertyKey[]) => FailurePlace,
  top: readonly PropertyKey[] = ['targets'],
): (data: unknown, name: string) => Result<RawTarget> {
  return (data, name) => {
    const checked = targetSchema.safeParse(data);
    if (checked.success) return ok(checked.data);
    return err(
      joined(
        checked.error.issues.map((issue) =>
          failure(
            'PJ003',
            2,
            `${[...top, name, ...issue.path].map(String).join('.')}: ${issue.message}`,
            {
              places: [place([...top, name, ...issue.path])],
            },
          ),
        ),
      ),
    );
  };
}

function readImages(
  { value, span }: ParsedYaml<import('zod').infer<typeof projectSchema>>,
  layers: ReadonlyMap<string, LayerSpec>,
  reading: {
    readonly base: string;
    readonly place: (path: readonly PropertyKey[]) => FailurePlace;
  },
): ReadonlyMap<string, ImageSpec> {
  const images = new Map<string, ImageSpec>();
  for (const [name, raw] of Object.entries(value.images ?? {})) {
    const all = layersBelow(layers, raw.layers);
    // An image of layers that stand on nothing stands on nothing itself.
    const root = all.some(({ recipe }) => recipe.kind === 'template' || recipe.kind === 'packages');
    images.set(name, {
      name,
      base: raw.base ?? (root ? 'scratch' : reading.base),
      layers: raw.layers,
      tags: raw.tags ?? [],
      platforms: raw.platforms ?? value.platforms ?? [],
      config: {
        env: raw.env ?? {},
        labels: raw.labels ?? {},
        expose: raw.expose ?? [],
        volumes: raw.volumes ?? [],
        ...(raw.entrypoint === undefined ? {} : { entrypoint: raw.entrypoint }),
        ...(raw.cmd === undefined ? {} : { cmd: raw.cmd }),
        ...(raw.workdir === undefined ? {} : { workdir: raw.workdir }),
        ...(raw.user === undefined ? {} : { user: raw.user }),
      },
      span: span(['images', name]),
    });
  }
  return images;
}

function strayNames(
  project: Project,
  place: (path: readonly PropertyKey[]) => FailurePlace,
): readonly Failure[] {
  const problems: Failure[] = [];
  for (const image of project.images.values())
    image.layers.forEach((layer, i) => {
      if (!project.layers.has(layer))
        problems.push(
          unknownName(
            'layer',
            layer,
            project.layers.keys(),
            place(['images', image.name, 'layers', i]),
          ),
        );
    });
  const known = goalNames(project);
  for (const [name, members] of project.groups)
    members.forEach((member, i) => {
      if (!known.includes(member))
        problems.push(unknownName('target', member, known, place(['groups', name, i])));
    });
  return problems;
}

/** Everything that can be asked for by name. */
export function goalNames(project: Project): readonly string[] {
  return [
    ...project.groups.keys(),
    ...project.images.keys(),
    ...project.targets.keys(),
    ...project.layers.keys(),
  ];
}

export type { Expansion };
