import { z } from 'zod';
import {
  byCodeUnit,
  type Digest,
  err,
  failure,
  type GoJson,
  goJson,
  ok,
  parseDigest,
  parseJson,
  type Result,
  sha256,
} from '../base/index.ts';
import {
  absolute,
  MAX_LAYERS,
  type Template,
  type TemplateConfig,
  type TemplateFile,
  type TemplateUser,
} from './template.ts';

/** A repository as it stood when the lock was made. */
export interface LockedSource {
  /** Base URI without credentials. */
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Digest of the signed text of the Release file. */
  readonly release: Digest;
  /** Seconds since the epoch, from the Release file's `Date`. */
  readonly date: number;
  /** Fingerprints of the keys whose signatures were verified. */
  readonly signers: readonly string[];
  /** ASCII-armoured public keys that may sign packages, where packages are signed themselves (rpm). */
  readonly keys?: readonly string[];
}

/** How the packages of rpm repositories become a root file system. */
export interface RpmLock {
  /** Where rpm keeps its database in the root. */
  readonly dbPath: string;
  /** rpm itself and what it needs, from the same repositories: unpacked beside the root, it installs the packages. */
  readonly tools: readonly LockedPackage[];
  /** Names of the packages that stand for each thing that the template asks for, a version behind `=`. */
  readonly asked: Readonly<Record<string, readonly string[]>>;
}

/** One chosen package. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sha256: Digest;
  readonly size: number;
  /** Path below the source's URI. */
  readonly path: string;
  /** Index into `sources`. */
  readonly source: number;
  /**
   * Packages of one step are installed together, steps in order. Step 0 is what must work before dpkg can run in the root:
   * Essential packages and what they need; of rpm, what every root has in common: the shell and what it needs.
   */
  readonly step: number;
  /** Asked for by the template or its variant; others are marked as automatically installed. */
  readonly manual: boolean;
  /** Why it is here, for people: `asked for`, `needed by libc6 (Depends: libgcc-s1)`. */
  readonly reason: string;
  /** Names of the other packages of the lock that meet what it needs; absent in locks that do not say. */
  readonly needs?: readonly string[] | undefined;
}

/** A template with every choice made: the same lock gives the same root file system on every machine. */
export interface TemplateLock {
  readonly version: 1;
  readonly distribution: string;
  readonly suite: string;
  readonly architecture: string;
  readonly sources: readonly LockedSource[];
  /** Sorted by name, then architecture. */
  readonly packages: readonly LockedPackage[];
  readonly aptSources: boolean;
  readonly files: readonly TemplateFile[];
  readonly users: readonly TemplateUser[];
  readonly config: TemplateConfig;
  /** Absent: the packages are Debian's. */
  readonly rpm?: RpmLock;
  /** How many layers the root is divided into at most; absent: it is one. */
  readonly layers?: number;
}

/** The op attribute that carries the lock as JSON. */
export const LOCK_ATTR = 'varve.template.lock';
/** Scheme of the source op's identifier. */
export const TEMPLATE_SCHEME = 'varve-template://';

/** The source op (`pb.SourceOp`) that makes a lock's root file system; `name` is for people. */
export function templateSource(
  name: string,
  lock: TemplateLock,
): { readonly identifier: string; readonly attrs: Readonly<Record<string, string>> } {
  return { identifier: `${TEMPLATE_SCHEME}${name}`, attrs: { [LOCK_ATTR]: encodeLock(lock) } };
}

/** Raised when the way roots are made changes their content: part of every key. */
const ROOT_FORMAT = 'varve.root.v2';
/** The same of the way roots are divided into layers. */
const LAYERS_FORMAT = 'varve.root-layers.v1';
/** The same of roots made of rpm packages. */
const RPM_ROOT_FORMAT = 'varve.rpm-root.v3';

const digest = z.string().transform((text, context) => {
  const value = parseDigest(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: 'expected a sha256 digest' });
  return z.NEVER;
});
const natural = z.int().min(0);
const relative = z
  .string()
  .regex(/^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\0\s]+$/, 'expected a relative path');
const texts = z.array(z.string());
const textMap = z.record(z.string(), z.string());

const lockedPackage = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._+-]*$/),
  version: z.string().regex(/^[0-9A-Za-z.+:~^_-]+$/),
  architecture: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/),
  sha256: digest,
  size: natural,
  path: relative,
  source: natural,
  step: natural,
  manual: z.boolean(),
  reason: z.string(),
  needs: texts.optional(),
});

const schema: z.ZodType<TemplateLock> = z.strictObject({
  version: z.literal(1),
  distribution: z.string(),
  suite: z.string(),
  architecture: z.string(),
  sources: z.array(
    z.strictObject({
      uri: z.string(),
      suite: z.string(),
      components: texts,
      release: digest,
      date: z.int(),
      signers: texts,
      keys: texts.exactOptional(),
    }),
  ),
  packages: z.array(lockedPackage),
  aptSources: z.boolean(),
  files: z.array(
    z.strictObject({
      path: z.string(),
      content: z.string(),
      mode: natural,
      uid: natural,
      gid: natural,
    }),
  ),
  users: z.array(
    z.strictObject({
      name: z.string(),
      uid: natural,
      gid: natural,
      home: z.string(),
      shell: z.string(),
      groups: texts,
    }),
  ),
  config: z.strictObject({
    env: textMap,
    entrypoint: texts,
    cmd: texts,
    workdir: z.string(),
    user: z.string(),
    labels: textMap,
  }),
  rpm: z
    .strictObject({
      dbPath: absolute,
      tools: z.array(lockedPackage),
      asked: z.record(z.string(), texts),
    })
    .exactOptional(),
  layers: z.int().min(2).max(MAX_LAYERS).exactOptional(),
});

/** The lock as JSON, the same bytes for the same lock. */
export function encodeLock(lock: TemplateLock): string {
  // The interfaces hold only JSON values; an interface has no index signature to say so.
  return goJson(lock as unknown as GoJson);
}

/** Reads a lock back; everything in it is checked, for it may come from a file or a remote. */
export function parseLock(text: string): Result<TemplateLock> {
  const json = parseJson(text);
  if (!json.ok) return err(failure('TP005', 2, `template lock is not JSON: ${json.error}`));
  const checked = schema.safeParse(json.value);
  if (checked.success) {
    const { packages, rpm, sources } = checked.data;
    const stray = [...packages, ...(rpm?.tools ?? [])].find((p) => p.source >= sources.length);
    return stray === undefined
      ? ok(checked.data)
      : err(failure('TP005', 2, `template lock: ${stray.name} names a source that is not listed`));
  }
  const issue = checked.error.issues[0];
  const where = issue?.path.map(String).join('.') ?? '';
  return err(failure('TP005', 2, `template lock: ${where}: ${issue?.message ?? 'not a lock'}`));
}

/**
 * Digest of what determines the root file system: packages by digest, files, users. Mirrors, release dates, reasons and the
 * image configuration are left out, so that machines with different mirrors agree; a mirror counts only where it is
 * written into the root.
 */
export function lockKey(lock: TemplateLock): Digest {
  const { layers, ...whole } = lock;
  const root = rootKey(whole);
  return layers === undefined ? root : sha256(goJson([LAYERS_FORMAT, layers, root]));
}

function rootKey(lock: TemplateLock): Digest {
  const packages = lock.packages.map((p) => [
    p.name,
    p.version,
    p.architecture,
    p.sha256,
    p.manual,
  ]);
  const sources = lock.aptSources ? lock.sources.map((s) => [s.uri, s.suite, s.components]) : [];
  const files = lock.files.map((f) => [f.path, sha256(f.content), f.mode, f.uid, f.gid]);
  const users = lock.users.map((u) => [u.name, u.uid, u.gid, u.home, u.shell, u.groups]);
  const { architecture, rpm } = lock;
  if (rpm === undefined)
    return sha256(goJson([ROOT_FORMAT, architecture, packages, sources, files, users]));
  const tools = rpm.tools.map((p) => p.sha256);
  return sha256(goJson([RPM_ROOT_FORMAT, architecture, rpm.dbPath, tools, packages, files, users]));
}

/** The image configuration's `config` member (OCI image-spec, config.md) of a template. */
export function imageConfigOf(config: TemplateConfig): Readonly<Record<string, GoJson>> {
  const env = { PATH: DEFAULT_PATH, ...config.env };
  return {
    ...(config.user === '' ? {} : { User: config.user }),
    Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
    ...(config.entrypoint.length === 0 ? {} : { Entrypoint: config.entrypoint }),
    ...(config.cmd.length === 0 ? {} : { Cmd: config.cmd }),
    WorkingDir: config.workdir,
    ...(Object.keys(config.labels).length === 0
      ? {}
      : {
          Labels: Object.fromEntries(
            Object.entries(config.labels).sort(([a], [b]) => byCodeUnit(a, b)),
          ),
        }),
  };
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the front end makes of a template before it is resolved: everything but the packages. */
export function lockOf(
  template: Template,
  resolved: Pick<TemplateLock, 'architecture' | 'sources' | 'packages'>,
): TemplateLock {
  return {
    version: 1,
    distribution: template.distribution,
    suite: template.suite,
    architecture: resolved.architecture,
    sources: resolved.sources,
    packages: resolved.packages,
    aptSources: template.aptSources,
    files: template.files,
    users: template.users,
    config: template.config,
    ...(template.layers === undefined || template.layers === 1 ? {} : { layers: template.layers }),
  };
}
