import { stringify } from 'yaml';
import type { z } from 'zod';
import { err, type Failure, type FailurePlace, failure, ok, type Result } from '../base/index.ts';
import { joined } from '../template/index.ts';
import type { LayerList } from './lists.ts';
import type { LayerSpec, LayerStep, Recipe } from './project.ts';
import { RESERVED } from './recipe.ts';
import type { layerSchema } from './schema.ts';
import { cycle, mergeKeys, unknownName } from './targets.ts';

/** A layer as it is written. */
export type RawLayer = z.infer<typeof layerSchema>;

/** How layers are read. */
export interface LayerReading {
  /** Below layers that name no base. */
  readonly base: string;
  readonly place: (path: readonly PropertyKey[]) => FailurePlace;
}

const RECIPES = ['steps', 'recipe', 'dockerfile', 'template', 'packages'] as const;
const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/;

/** Layers by name, each with what it inherits; names that begin with `_` are only inherited from. */
export function readLayers(
  raw: Readonly<Record<string, RawLayer>>,
  reading: LayerReading,
): Result<ReadonlyMap<string, LayerSpec>> {
  const layers = new Map<string, LayerSpec>();
  const problems: Failure[] = [];
  for (const name of Object.keys(raw)) {
    const flat = flattened(raw, name, reading, []);
    if (!flat.ok) return flat;
    if (name.startsWith('_')) continue;
    const layer = NAME.test(name) ? layerOf(name, flat.value, reading) : badName(name, reading);
    if (layer.ok) layers.set(name, layer.value);
    else problems.push(layer.error);
  }
  for (const layer of layers.values())
    for (const key of ['needs', 'uses'] as const)
      layer[key].forEach((other, i) => {
        const at = reading.place(['layers', layer.name, key, i]);
        if (!layers.has(other)) problems.push(unknownName('layer', other, layers.keys(), at));
        else if (key === 'uses' && RESERVED.includes(other))
          problems.push(
            failure('PJ004', 2, `"${other}" stands for something else in recipes`, {
              help: 'give the layer another name to copy from it',
              places: [at],
            }),
          );
      });
  if (problems.length > 0) return err(joined(problems));
  const circle = circleIn(layers);
  return circle === undefined
    ? ok(layers)
    : err(cycle('needs', circle, reading.place(['layers', circle[0] ?? '', 'needs'])));
}

function badName(name: string, { place }: LayerReading): Result<never> {
  return err(
    failure(
      'PJ003',
      2,
      `layers.${name}: expected a name of lower-case letters, digits, "-" and "_", 40 at most`,
      {
        places: [place(['layers', name])],
      },
    ),
  );
}

const MAPS = new Set(['args']);

function flattened(
  raw: Readonly<Record<string, RawLayer>>,
  name: string,
  reading: LayerReading,
  path: readonly string[],
): Result<RawLayer> {
  const place = reading.place(['layers', path.at(-1) ?? name, 'inherits']);
  if (path.includes(name)) return err(cycle('inherits', [...path, name], place));
  const own = raw[name];
  if (own === undefined) return err(unknownName('layer', name, Object.keys(raw), place));
  let flat: RawLayer = {};
  for (const parent of own.inherits ?? []) {
    const above = flattened(raw, parent, reading, [...path, name]);
    if (!above.ok) return above;
    flat = over(flat, above.value);
  }
  return ok(over(flat, own));
}

/** A recipe replaces a recipe of another kind; inputs are merged by kind, arguments by name. */
function over(below: RawLayer, above: RawLayer): RawLayer {
  const own = RECIPES.some((key) => above[key] !== undefined);
  const kept = Object.fromEntries(
    Object.entries(below).filter(([key]) => !own || ![...RECIPES, 'target'].some((r) => r === key)),
  );
  const merged = mergeKeys(kept, above, new Set());
  const inputs = mergeKeys(below.inputs ?? {}, above.inputs ?? {}, MAPS);
  return { ...merged, inputs };
}

function layerOf(name: string, raw: RawLayer, { base, place }: LayerReading): Result<LayerSpec> {
  const at = place(['layers', name]);
  const recipe = recipeOf(name, raw, at);
  if (!recipe.ok) return recipe;
  const { kind } = recipe.value;
  const isRoot = kind === 'template' || kind === 'packages';
  if (isRoot && (raw.needs?.length ?? 0) > 0)
    return err(
      failure(
        'PJ004',
        2,
        `layer "${name}" cannot need other layers, for it is a whole root file system`,
        {
          help: 'layers may need it instead',
          places: [at],
        },
      ),
    );
  const paths = (raw.inputs?.lists ?? []).map(({ list }) => list);
  const twice = paths.findIndex((path, i) => paths.indexOf(path) !== i);
  if (twice !== -1)
    return err(
      failure('PJ004', 2, `layer "${name}" has the list ${paths[twice] ?? ''} twice`, {
        help: 'name it once, with all packages that the layer takes of it',
        places: [place(['layers', name, 'inputs', 'lists', twice])],
      }),
    );
  const urls = (raw.inputs?.urls ?? []).map((u, i) => ({
    span: place(['layers', name, 'inputs', 'urls', i, 'sha256']).span,
    url: u.url,
    digest: `sha256:${u.sha256}`,
    name: u.name ?? (new URL(u.url).pathname.split('/').at(-1) || 'download'),
  }));
  return ok({
    name,
    needs: raw.needs ?? [],
    uses: raw.uses ?? [],
    base: isRoot ? 'scratch' : (raw.base ?? base),
    files: raw.inputs?.files ?? [],
    lists: (raw.inputs?.lists ?? []).map(listOf),
    args: raw.inputs?.args ?? {},
    urls,
    cache: raw.cache ?? [],
    recipe: recipe.value,
    changes: raw.changes ?? 'sometimes',
    network: raw.network ?? 'default',
    span: at.span,
  });
}

const listOf = ({
  list,
  ...parts
}: NonNullable<NonNullable<RawLayer['inputs']>['lists']>[number]): LayerList => ({
  path: list,
  ...parts,
});

function recipeOf(name: string, raw: RawLayer, at: FailurePlace): Result<Recipe> {
  const given = RECIPES.filter((key) => raw[key] !== undefined);
  if (given.length !== 1) {
    const what =
      given.length === 0 ? 'has no recipe' : `has ${given.length} recipes: ${given.join(', ')}`;
    return err(
      failure('PJ004', 2, `layer "${name}" ${what}`, {
        help: `give it one of ${RECIPES.join(', ')}`,
        places: [at],
      }),
    );
  }
  if (raw.steps !== undefined) return ok({ kind: 'steps', steps: raw.steps.map(stepOf) });
  if (raw.recipe !== undefined) return ok({ kind: 'inline', text: raw.recipe });
  if (raw.template !== undefined) return ok({ kind: 'template', path: raw.template });
  if (raw.packages !== undefined) return ok({ kind: 'packages', text: stringify(raw.packages) });
  const target = raw.target === undefined ? {} : { target: raw.target };
  return ok({ kind: 'dockerfile', path: raw.dockerfile ?? 'Dockerfile', ...target });
}

function stepOf(raw: NonNullable<RawLayer['steps']>[number]): LayerStep {
  if (typeof raw === 'string') return { kind: 'run', command: raw };
  if ('env' in raw) return { kind: 'env', env: raw.env };
  return {
    kind: 'copy',
    from: raw.copy,
    to: raw.to,
    ...(raw.chown === undefined ? {} : { chown: raw.chown }),
    ...(raw.chmod === undefined ? {} : { chmod: raw.chmod }),
  };
}

/** The names along a circle of needs, or undefined. */
function circleIn(layers: ReadonlyMap<string, LayerSpec>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    const layer = layers.get(name);
    for (const need of [...(layer?.needs ?? []), ...(layer?.uses ?? [])]) {
      const found = visit(need, [...path, name]);
      if (found !== undefined) return found;
    }
    done.add(name);
    return undefined;
  };
  for (const name of layers.keys()) {
    const found = visit(name, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The layers that `names` need and they themselves, lowest first: in the order of the project, needs before needers. With
 * `uses` those that their recipes copy from as well.
 */
export function layersBelow(
  layers: ReadonlyMap<string, LayerSpec>,
  names: readonly string[],
  { uses }: { readonly uses: boolean } = { uses: false },
): readonly LayerSpec[] {
  const ordered = new Map<string, LayerSpec>();
  const add = (name: string): void => {
    const layer = layers.get(name);
    if (layer === undefined || ordered.has(name)) return;
    for (const other of [...layer.needs, ...(uses ? layer.uses : [])]) add(other);
    ordered.set(name, layer);
  };
  for (const name of names) add(name);
  return [...ordered.values()];
}
