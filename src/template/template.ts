import { z } from 'zod';
import { err, failure, ok, type Result, type SourceFile, type Span } from '../base/index.ts';
import { joined, parseYaml } from './yaml-schema.ts';

/** Which packages a root file system has before any is asked for (the sets of debootstrap and mmdebstrap). */
export type Variant = 'essential' | 'apt' | 'minbase' | 'important' | 'standard';

/** A repository that a template names itself. */
export interface TemplateMirror {
  /** Base URI (`http:`, `https:`, `file:`); `{snapshot}` stands for the template's `snapshot`. */
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Path of a keyring, or an ASCII-armoured public key. */
  readonly signedBy?: string;
  /** As an apt pin: higher wins over version; 500 is the default (apt_preferences(5)). */
  readonly priority: number;
}

/** A package that is asked for: `name`, `name=version` (with `*` as the end) or `name/suite`. */
export interface PackageWish {
  readonly name: string;
  readonly version?: string;
  readonly suite?: string;
  /** Where the wish stands in the template. */
  readonly span: Span;
}

/** A wish as it is written. */
export const wishText = ({ name, version, suite }: Omit<PackageWish, 'span'>): string =>
  `${name}${version === undefined ? '' : `=${version}`}${suite === undefined ? '' : `/${suite}`}`;

/** A file written after the packages are configured. */
export interface TemplateFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** An account made after the packages are configured; locked, for there is no password. */
export interface TemplateUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
  readonly groups: readonly string[];
}

/** What a container of the root file system starts with (OCI image-spec, config.md). */
export interface TemplateConfig {
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workdir: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A root file system made of Debian packages, as a short YAML file describes it. */
export interface Template {
  readonly kind: 'debian-root';
  /** The text that the spans point into. */
  readonly file: SourceFile;
  readonly distribution: string;
  readonly suite: string;
  /** Debian's name of the architecture; absent: that of the platform which is built. */
  readonly architecture?: string;
  readonly components: readonly string[];
  /** Empty: the host's own apt sources. */
  readonly mirrors: readonly TemplateMirror[];
  /** The host's own apt sources are used beside `mirrors`. */
  readonly hostSources?: boolean;
  /** Path of a keyring for mirrors without their own. */
  readonly keyring?: string;
  /** `20260131T000000Z`: nothing newer is accepted, and expiry is not checked. */
  readonly snapshot?: string;
  readonly variant: Variant;
  readonly packages: readonly PackageWish[];
  /** Packages that must not be chosen. */
  readonly exclude: readonly string[];
  readonly recommends: boolean;
  /** Whether the root gets `/etc/apt/sources.list.d/`: by default when the template names its mirrors. */
  readonly aptSources: boolean;
  readonly files: readonly TemplateFile[];
  readonly users: readonly TemplateUser[];
  readonly config: TemplateConfig;
  /** How many layers the root is divided into at most; absent: it is one. */
  readonly layers?: number;
}

/** More layers than this an overlay mount is not asked to have beside those of a Dockerfile. */
export const MAX_LAYERS = 64;

const NAME = /^[a-z0-9][a-z0-9+.-]*$/;
const SUITE = /^[a-zA-Z0-9][a-zA-Z0-9._/-]*$/;
const WISH = /^([a-z0-9][a-z0-9+.-]*)(?:=([0-9A-Za-z.+:~-]+\*?)|\/([a-zA-Z0-9._-]+))?$/;

const suite = z.string().regex(SUITE, 'expected a suite or codename such as bookworm');
const name = z.string().regex(NAME, 'expected a package name: a-z, 0-9, "+", "-", "."');
const component = z.string().regex(/^[a-z0-9][a-z0-9/_-]*$/, 'expected a component such as main');
/** An absolute path without steps upwards. */
export const absolute = z
  .string()
  .regex(/^\/(?!.*(?:^|\/)\.\.(?:\/|$))[^\0]*$/, 'expected an absolute path without ".."');
const id = z.int().min(0).max(65_534);
const architecture = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]*$/, "expected Debian's architecture name, such as amd64");
const account = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected a user name');
const mode = z
  .union([z.string().regex(/^0?[0-7]{3,4}$/), z.int().min(0).max(0o7777)], {
    error: 'expected a quoted octal mode such as "0644"',
  })
  .transform((m) => (typeof m === 'string' ? Number.parseInt(m, 8) : m));

const mirror = z.strictObject({
  uri: z
    .string()
    .regex(/^(?:https?|file):\/\/?[^\s[\]]+$/, 'expected an http:, https: or file: URI'),
  suites: z.array(suite).min(1).optional(),
  components: z.array(component).min(1).optional(),
  'signed-by': z.string().optional(),
  priority: z.int().min(-9999).max(9999).default(500),
});

/** An account of a template. */
export const user = z.strictObject({
  name: account,
  uid: id,
  gid: id.optional(),
  home: absolute.optional(),
  shell: absolute.default('/bin/sh'),
  groups: z.array(account).default([]),
});

/** A file of a template. */
export const file = z.strictObject({
  path: absolute,
  content: z.string(),
  mode: mode.default(0o644),
  uid: id.default(0),
  gid: id.default(0),
});

const schema = z.strictObject({
  distribution: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, 'expected a distribution such as debian')
    .default('debian'),
  suite,
  architecture: architecture.optional(),
  components: z.array(component).min(1).default(['main']),
  mirrors: z.array(mirror).default([]),
  keyring: absolute.optional(),
  snapshot: z
    .string()
    .regex(/^\d{8}T\d{6}Z$/, 'expected a time such as 20260131T000000Z')
    .optional(),
  variant: z.enum(['essential', 'apt', 'minbase', 'important', 'standard']).default('minbase'),
  packages: z
    .array(z.string().regex(WISH, 'expected name, name=version or name/suite'))
    .default([]),
  exclude: z.array(name).default([]),
  recommends: z.boolean().default(false),
  'apt-sources': z.boolean().optional(),
  files: z.array(file).default([]),
  users: z.array(user).default([]),
  env: z
    .record(z.string().regex(/^[^=\0]+$/, 'expected a name without "="'), z.string())
    .default({}),
  entrypoint: z.array(z.string()).default([]),
  cmd: z.array(z.string()).default([]),
  workdir: absolute.default('/'),
  user: z.string().default(''),
  labels: z.record(z.string(), z.string()).default({}),
  layers: z.int().min(1).max(MAX_LAYERS).optional(),
});

/** Parses a template; problems carry their line and column. TP004: parts that do not fit together. */
export function parseTemplate(source: SourceFile): Result<Template> {
  const parsed = parseYaml(source, schema);
  if (!parsed.ok) return parsed;
  const { value: t, span } = parsed.value;
  const problems = contradictions(t).map(({ path, message, help }) =>
    failure('TP004', 2, message, { help, places: [{ file: source, span: span(path) }] }),
  );
  return problems.length > 0 ? err(joined(problems)) : ok(assemble(t, source, span));
}

type Raw = z.infer<typeof schema>;

interface Contradiction {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly help: string;
}

function contradictions(t: Raw): Contradiction[] {
  const found: Contradiction[] = [];
  const excluded = new Set(t.exclude);
  t.packages.forEach((text, i) => {
    const wanted = parseWish(text).name;
    if (excluded.has(wanted))
      found.push({
        path: ['packages', i],
        message: `package ${wanted} is both asked for and excluded`,
        help: 'remove it from one of the lists',
      });
  });
  if (t.snapshot !== undefined && t.mirrors.length === 0)
    found.push({
      path: ['snapshot'],
      message: 'a snapshot needs mirrors that keep old states',
      help: 'name them under mirrors, with {snapshot} in the URI',
    });
  t.mirrors.forEach((m, i) => {
    if (m.uri.includes('{snapshot}') && t.snapshot === undefined)
      found.push({
        path: ['mirrors', i, 'uri'],
        message: '{snapshot} stands for a time that the template does not give',
        help: 'add snapshot: YYYYMMDDTHHMMSSZ',
      });
    if (/^https?:\/\/[^/]*@/.test(m.uri))
      found.push({
        path: ['mirrors', i, 'uri'],
        message: 'a mirror URI must not carry credentials',
        help: 'put them into /etc/apt/auth.conf.d (apt_auth.conf(5))',
      });
  });
  return found;
}

function parseWish(text: string): Omit<PackageWish, 'span'> {
  const [, wanted = text, version, from] = WISH.exec(text) ?? [];
  return {
    name: wanted,
    ...(version === undefined ? {} : { version }),
    ...(from === undefined ? {} : { suite: from }),
  };
}

function assemble(
  t: Raw,
  file: SourceFile,
  span: (path: readonly PropertyKey[]) => Span,
): Template {
  return {
    kind: 'debian-root',
    file,
    distribution: t.distribution,
    suite: t.suite,
    ...(t.architecture === undefined ? {} : { architecture: t.architecture }),
    components: t.components,
    mirrors: t.mirrors.map((m) => ({
      uri: m.uri.replaceAll('{snapshot}', t.snapshot ?? '').replace(/\/+$/, ''),
      suites: m.suites ?? [t.suite],
      components: m.components ?? t.components,
      ...(m['signed-by'] === undefined ? {} : { signedBy: m['signed-by'] }),
      priority: m.priority,
    })),
    ...(t.keyring === undefined ? {} : { keyring: t.keyring }),
    ...(t.snapshot === undefined ? {} : { snapshot: t.snapshot }),
    variant: t.variant,
    packages: t.packages.map((text, i) => ({ ...parseWish(text), span: span(['packages', i]) })),
    exclude: t.exclude,
    recommends: t.recommends,
    aptSources: t['apt-sources'] ?? t.mirrors.length > 0,
    files: t.files,
    users: t.users.map((u) => ({ ...u, gid: u.gid ?? u.uid, home: u.home ?? `/home/${u.name}` })),
    config: {
      env: t.env,
      entrypoint: t.entrypoint,
      cmd: t.cmd.length === 0 && t.entrypoint.length === 0 ? ['bash'] : t.cmd,
      workdir: t.workdir,
      user: t.user,
      labels: t.labels,
    },
    ...(t.layers === undefined ? {} : { layers: t.layers }),
  };
}
