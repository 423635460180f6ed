import { z } from 'zod';

const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/;
const name = z
  .string()
  .regex(NAME, 'expected a name: lower-case letters, digits, "-" and "_", 40 at most');
const TARGET_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** Values of arguments and labels may be written as numbers or booleans. */
const scalar = z
  .union([z.string(), z.number(), z.boolean()], { error: 'expected a text, a number or a boolean' })
  .transform(String);
const texts = z.array(z.string());
const oneOrMore = z
  .union([z.string(), texts], { error: 'expected a text or a list of texts' })
  .transform((v) => (typeof v === 'string' ? [v] : v));
const map = z.record(z.string().regex(/^[^=\0]+$/, 'expected a name without "="'), scalar);

const url = z
  .strictObject({
    url: z.string().regex(/^https?:\/\/\S+$/, 'expected an http: or https: address'),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9_][A-Za-z0-9._+-]*$/, 'expected a file name')
      .optional()
      .describe('file name below /inputs/urls; by default the last part of the address'),
  })
  .describe('a download that is checked against its digest');

const list = z
  .union(
    [
      z.string(),
      z.strictObject({ list: z.string(), only: texts.describe('the lines of these packages') }),
      z.strictObject({
        list: z.string(),
        except: texts.describe('all lines but those of these packages'),
      }),
    ],
    { error: 'expected a path, {list, only} or {list, except}' },
  )
  .transform((v): { list: string; only?: string[]; except?: string[] } =>
    typeof v === 'string' ? { list: v } : v,
  );

const step = z.union(
  [
    z.string().describe('a shell command'),
    z.strictObject({
      copy: z.string().describe('a path among the files of the layer'),
      to: z.string(),
      chown: z.string().optional(),
      chmod: z.string().optional(),
    }),
    z.strictObject({ env: map }),
  ],
  { error: 'expected a command, {copy, to} or {env}' },
);

/** Every key of a layer is optional here, so that layers can take the rest from others. */
export const layerSchema = z
  .strictObject({
    inherits: oneOrMore.optional().describe('layers whose keys are taken where this one has none'),
    needs: z
      .array(z.string())
      .optional()
      .describe('layers that the recipe uses; nothing else of the project is there'),
    uses: z
      .array(z.string())
      .optional()
      .describe('layers that the recipe copies from (--from=NAME), which are no part of the image'),
    base: z.string().optional().describe('image below the lowest layer, or "scratch"'),
    inputs: z
      .strictObject({
        files: texts.optional().describe('patterns of files in the project directory'),
        lists: z.array(list).optional().describe('lists; comments and blank lines do not count'),
        args: map.optional(),
        urls: z.array(url).optional(),
      })
      .optional(),
    steps: z.array(step).min(1).optional().describe('commands, copies and variables, in order'),
    recipe: z.string().optional().describe('instructions of a Dockerfile stage'),
    dockerfile: z
      .string()
      .optional()
      .describe('Dockerfile with the recipe; FROM base stands on the needs'),
    target: z.string().optional().describe('stage of the Dockerfile'),
    template: z.string().optional().describe('OS template that is the layer'),
    packages: z
      .looseObject({ suite: z.string(), packages: texts.optional() })
      .optional()
      .describe('keys of an OS template that is the layer'),
    cache: texts.optional().describe('directories kept between builds, never part of a key'),
    changes: z.enum(['rarely', 'sometimes', 'often']).optional(),
    network: z.enum(['default', 'none', 'host']).optional(),
  })
  .describe('a layer: a recipe, and all that it may depend on');

const imageSchema = z.strictObject({
  layers: z.array(z.string()).min(1),
  base: z.string().optional(),
  tags: oneOrMore.optional(),
  platforms: oneOrMore.optional(),
  env: map.optional(),
  entrypoint: texts.optional(),
  cmd: texts.optional(),
  workdir: z.string().optional(),
  user: z.string().optional(),
  labels: map.optional(),
  expose: z.array(scalar).optional(),
  volumes: texts.optional(),
});

const cacheEntry = z.union([z.string(), z.record(z.string(), scalar)]).transform(specText);
const specs = z
  .union([z.string(), z.array(cacheEntry)])
  .transform((v) => (typeof v === 'string' ? [v] : v));

/** Bake's objects for caches, secrets and outputs in the form of flags. */
function specText(value: string | Readonly<Record<string, string>>): string {
  return typeof value === 'string'
    ? value
    : Object.entries(value)
        .map(([key, v]) => `${key}=${v}`)
        .join(',');
}

/** A target of bake: the same keys in varve.yml and docker-bake.json. */
export const targetSchema = z.strictObject({
  name: z.string().optional().describe('name of each build of a matrix, with its variables'),
  description: z.string().optional(),
  inherits: oneOrMore.optional(),
  matrix: z.record(z.string(), z.array(z.union([scalar, z.record(z.string(), scalar)]))).optional(),
  context: z.string().optional(),
  contexts: z.record(z.string(), z.string()).optional(),
  dockerfile: z.string().optional(),
  'dockerfile-inline': z.string().optional(),
  args: z.record(z.string(), z.union([scalar, z.null()])).optional(),
  labels: map.optional(),
  tags: oneOrMore.optional(),
  target: z.string().optional(),
  platforms: oneOrMore.optional(),
  'cache-from': specs.optional(),
  'cache-to': specs.optional(),
  output: specs.optional(),
  secret: specs.optional(),
  ssh: specs.optional(),
  'no-cache': z.boolean().optional(),
  'no-cache-filter': oneOrMore.optional(),
  pull: z.boolean().optional(),
  network: z.string().optional(),
  'shm-size': z.string().optional(),
  ulimits: texts.optional(),
  annotations: oneOrMore.optional(),
  attest: specs.optional(),
  entitlements: oneOrMore.optional(),
  'extra-hosts': z.record(z.string(), z.string()).optional(),
});

const variable = z.union([
  scalar,
  z.null(),
  z.looseObject({ default: z.union([scalar, z.null()]).optional() }),
]);

/** `varve.yml`. */
export const projectSchema = z
  .strictObject({
    name: name.describe('name of the project'),
    variables: z
      .record(z.string(), variable)
      .optional()
      .describe('variables of ${NAME}; the environment wins'),
    base: z.string().optional().describe('image below the lowest layers, or "scratch"'),
    platforms: oneOrMore.optional(),
    store: z
      .strictObject({
        ref: z.string().optional().describe('repository for the images of layers'),
        push: z
          .boolean()
          .optional()
          .describe('push layers that were built; by default with --push'),
        scope: z
          .string()
          .optional()
          .describe('"auto", or the scope that is read first and written'),
        fallback: oneOrMore.optional().describe('scopes that are read after it'),
      })
      .optional(),
    'cache-from': specs.optional().describe('caches of steps, as --cache-from takes them'),
    layers: z.record(z.string(), layerSchema).optional(),
    images: z.record(z.string(), imageSchema).optional(),
    targets: z.record(z.string().regex(TARGET_NAME), targetSchema).optional(),
    groups: z.record(z.string().regex(TARGET_NAME), texts).optional(),
  })
  .describe('a project of layers, images and targets');

const group = z.strictObject({ targets: texts, description: z.string().optional() });

/** `docker-bake.json` (docs.docker.com, Bake file reference). */
export const bakeSchema = z.strictObject({
  variable: z
    .record(z.string(), z.looseObject({ default: z.union([scalar, z.null()]).optional() }))
    .optional(),
  group: z.record(z.string(), group).optional(),
  target: z.record(z.string(), targetSchema).optional(),
});

const composeBuild = z.union([
  z.string().transform((context) => ({ context })),
  z.looseObject({
    context: z.string().optional(),
    dockerfile: z.string().optional(),
    dockerfile_inline: z.string().optional(),
    args: z
      .union([z.record(z.string(), z.union([scalar, z.null()])), texts])
      .transform((v) => (Array.isArray(v) ? pairs(v) : v))
      .optional(),
    additional_contexts: z
      .union([z.record(z.string(), z.string()), texts])
      .transform((v) => (Array.isArray(v) ? pairs(v) : v))
      .optional(),
    labels: z
      .union([map, texts])
      .transform((v) => (Array.isArray(v) ? pairs(v) : v))
      .optional(),
    tags: texts.optional(),
    target: z.string().optional(),
    platforms: texts.optional(),
    cache_from: texts.optional(),
    cache_to: texts.optional(),
    no_cache: z.boolean().optional(),
    pull: z.boolean().optional(),
    network: z.string().optional(),
    shm_size: scalar.optional(),
    ssh: texts.optional(),
  }),
]);

function pairs(list: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(
    list.map((text) => {
      const at = text.indexOf('=');
      return at === -1 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** The parts of a Compose file that builds are made of; everything else in it is not read. */
export const composeSchema = z.looseObject({
  name: z.string().optional(),
  services: z.record(
    z.string(),
    z.looseObject({ image: z.string().optional(), build: composeBuild.optional() }),
  ),
});

/** The JSON schema of `varve.yml` for editors, as the text of its file. */
export function projectJsonSchema(): string {
  const schema = z.toJSONSchema(projectSchema, { io: 'input', unrepresentable: 'any' });
  return `${JSON.stringify({ ...schema, title: 'varve.yml' }, null, 2)}\n`;
}
