import { z } from 'zod';
import { err, failure, ok, type Result, type SourceFile } from '../base/index.ts';
import {
  absolute,
  file as fileSchema,
  type PackageWish,
  type Template,
  type TemplateConfig,
  type TemplateFile,
  type TemplateUser,
  user as userSchema,
} from './template.ts';
import { joined, parseYaml } from './yaml-schema.ts';

/** A repository of rpm packages (`repodata/repomd.xml` below its address). */
export interface RpmRepository {
  /** Address without a trailing slash (`http:`, `https:`, `file:`). */
  readonly uri: string;
  /** Paths of public keys, or the keys themselves, ASCII-armoured. */
  readonly keys: readonly string[];
  /** Higher wins over version. */
  readonly priority: number;
  /** Beginnings of names; empty: every package may be taken. */
  readonly allow: readonly string[];
  /** Patterns of names that may not be taken. */
  readonly exclude: readonly string[];
  /** Days after which its state is too old. */
  readonly maxAgeDays?: number;
}

/** A root file system made of rpm packages. */
export interface RpmTemplate {
  readonly kind: 'rpm-root';
  /** The text that the spans point into. */
  readonly file: SourceFile;
  readonly distribution: string;
  readonly release: string;
  /** rpm's name of the architecture; absent: that of the platform which is built. */
  readonly architecture?: string;
  readonly repositories: readonly RpmRepository[];
  /** Whether the repositories of this machine (`/etc/yum.repos.d`) are used too. */
  readonly hostRepositories: boolean;
  /** Names, patterns of names (`*`, `?`, `[ ]`), or what packages provide. */
  readonly packages: readonly PackageWish[];
  readonly exclude: readonly string[];
  readonly recommends: boolean;
  /** What installs packages: rpm, by the name that it has in the repositories. */
  readonly tools: readonly string[];
  readonly dbPath: string;
  readonly files: readonly TemplateFile[];
  readonly users: readonly TemplateUser[];
  readonly config: TemplateConfig;
}

/** A root file system of either kind. */
export type RootTemplate = Template | RpmTemplate;

/** Whether a text is a template of rpm packages: those of Debian name mirrors, not repositories. */
export const isRpmTemplate = (text: string): boolean => /^repositories\s*:/m.test(text);

const WISH = /^([^\s=]+?)(?:=([0-9A-Za-z.+:~^_-]+))?$/;
const URI = /^(?:https?|file):\/\/?[^\s]+$/;

const schema = z.strictObject({
  distribution: z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected a distribution such as fedora'),
  release: z.string().regex(/^[0-9a-zA-Z._-]+$/, 'expected a release such as "3.0"'),
  architecture: z
    .string()
    .regex(/^[a-z0-9_]+$/, "expected rpm's name, such as x86_64")
    .optional(),
  repositories: z
    .array(
      z.strictObject({
        uri: z.string().regex(URI, 'expected an http:, https: or file: URI'),
        keys: z.array(z.string()).min(1),
        priority: z.int().min(-9999).max(9999).default(500),
        allow: z.array(z.string()).default([]),
        exclude: z.array(z.string()).default([]),
        'max-age': z.int().min(1).max(3650).optional(),
      }),
    )
    .min(1),
  packages: z.array(z.string().regex(WISH, 'expected name or name=version')).default([]),
  exclude: z.array(z.string()).default([]),
  recommends: z.boolean().default(false),
  tools: z.array(z.string()).default(['rpm']),
  'database-path': absolute.default('/var/lib/rpm'),
  files: z.array(fileSchema).default([]),
  users: z.array(userSchema).default([]),
  env: z.record(z.string().regex(/^[^=\0]+$/), z.string()).default({}),
  entrypoint: z.array(z.string()).default([]),
  cmd: z.array(z.string()).default([]),
  workdir: absolute.default('/'),
  user: z.string().default(''),
  labels: z.record(z.string(), z.string()).default({}),
});

/** Parses a template of rpm packages; problems carry their line and column. TP004: parts that do not fit together. */
export function parseRpmTemplate(source: SourceFile): Result<RpmTemplate> {
  const parsed = parseYaml(source, schema);
  if (!parsed.ok) return parsed;
  const { value: t, span } = parsed.value;
  const problems = t.repositories.flatMap(({ uri }, i) =>
    /^https?:\/\/[^/]*@/.test(uri)
      ? [
          failure('TP004', 2, 'the address of a repository must not carry credentials', {
            help: 'put them into /etc/apt/auth.conf.d (apt_auth.conf(5))',
            places: [{ file: source, span: span(['repositories', i, 'uri']) }],
          }),
        ]
      : [],
  );
  if (problems.length > 0) return err(joined(problems));
  return ok({
    kind: 'rpm-root',
    file: source,
    distribution: t.distribution,
    release: t.release,
    ...(t.architecture === undefined ? {} : { architecture: t.architecture }),
    repositories: t.repositories.map(({ 'max-age': maxAgeDays, uri, ...r }) => ({
      ...r,
      uri: uri.replace(/\/+$/, ''),
      ...(maxAgeDays === undefined ? {} : { maxAgeDays }),
    })),
    hostRepositories: false,
    packages: t.packages.map((text, i) => ({ ...parseWish(text), span: span(['packages', i]) })),
    exclude: t.exclude,
    recommends: t.recommends,
    tools: t.tools,
    dbPath: t['database-path'],
    files: t.files,
    users: t.users.map((u) => ({ ...u, gid: u.gid ?? u.uid, home: u.home ?? `/home/${u.name}` })),
    config: {
      ...{ env: t.env, entrypoint: t.entrypoint, workdir: t.workdir, user: t.user },
      cmd: t.cmd.length === 0 && t.entrypoint.length === 0 ? ['bash'] : t.cmd,
      labels: t.labels,
    },
  });
}

function parseWish(text: string): Omit<PackageWish, 'span'> {
  const [, name = text, version] = WISH.exec(text) ?? [];
  return { name, ...(version === undefined ? {} : { version }) };
}

/** rpm's architecture names of an OCI platform, best first; undefined where nothing is known of it. */
export function rpmArchitectures(architecture: string): readonly string[] | undefined {
  return ARCHITECTURES.find(
    ([oci, ...names]) => oci === architecture || names[0] === architecture,
  )?.slice(1);
}

/** OCI's name, then what runs on it, best first. */
const ARCHITECTURES: readonly (readonly string[])[] = [
  ['amd64', 'x86_64', 'i686', 'i586', 'i486', 'i386'],
  ['arm64', 'aarch64'],
  ['arm', 'armv7hl'],
  ['386', 'i686', 'i586', 'i486', 'i386'],
  ['ppc64le', 'ppc64le'],
  ['riscv64', 'riscv64'],
  ['s390x', 's390x'],
];
