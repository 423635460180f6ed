import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { err, failure, isErrno, ok, type Result, type SourceFile } from '../base/index.ts';
import type { TemplatePackages } from '../build/index.ts';
import type { Platform } from '../oci/index.ts';
import type { PackageStore } from '../packages/index.ts';
import type { RootTemplate, TemplateLock } from '../template/index.ts';
import { CommandLease } from './command-lease.ts';
import type { Io } from './io.ts';
import { givenLimits } from './network-limits.ts';
import { type Store, storePaths } from './store.ts';

/** The package store, loaded with its libraries when a template is first asked for: most builds have none. */
export function lazyPackages(
  io: Io,
  store: Store,
  resources: AsyncDisposableStack,
  given?: GivenTemplates,
): TemplatePackages {
  let opened: Promise<PackageStore> | undefined;
  const open = async (): Promise<PackageStore> => {
    const { createPackageStore } = await import('../packages/index.ts');
    // While somebody is at work, no trim takes the indexes and packages that were written or used since.
    resources.use(new CommandLease(store.db.leases, 'a choice of packages')).add();
    const named = io.env['VARVE_PACKAGES'];
    const dir = named === undefined ? undefined : resolve(io.cwd, named);
    if (dir !== undefined) {
      const { useCacheDir } = await import('./cache-dir-lock.ts');
      resources.use(await useCacheDir(dir, io.signal));
    }
    return resources.use(
      createPackageStore({
        root: dir ?? storePaths(store.root).packages,
        clock: io.clock,
        locks: store.db.locks,
        hostRoot: '/',
        network: givenLimits(io.env),
        ...(given?.offline === true ? { offline: true } : {}),
        onDamage: ({ name, path }) =>
          io.err(`warning[PK000]: ${name} was damaged in the store and set aside (${path})\n`),
      }),
    );
  };
  const packages = (): Promise<PackageStore> => (opened ??= open());
  const known = new Map<string, Promise<Result<TemplateLock>>>();
  return {
    obtain: async (...args) => await (await packages()).obtain(...args),
    extract: async (...args) => await (await packages()).extract(...args),
    builtAt: async (...args) => await (await packages()).builtAt(...args),
    lockTemplate: (file, platform, signal) =>
      lockTemplate({ io, packages, given, known }, { file, platform, signal }),
  };
}

/** What choosing packages needs. */
interface LockWorld {
  readonly io: Io;
  readonly packages: () => Promise<PackageStore>;
  readonly given: GivenTemplates | undefined;
  /** Locks of this command, by name and architecture: parts of a lock ask for it again. */
  readonly known: Map<string, Promise<Result<TemplateLock>>>;
}

/** A template to be locked. */
interface LockWanted {
  readonly file: string;
  readonly platform: Platform;
  readonly signal: AbortSignal;
}

/** Templates that are not files of their own, by the name that stands for them, and how all are resolved. */
export interface GivenTemplates {
  readonly templates: ReadonlyMap<string, RootTemplate>;
  /** Roots with some packages of another's lock, by the name that stands for them. */
  readonly parts: ReadonlyMap<
    string,
    { readonly of: string; readonly packages: readonly string[] }
  >;
  /** Locks to be used as they are, by name. */
  readonly locks: ReadonlyMap<string, TemplateLock>;
  /** A root without a lock is a failure. */
  readonly frozen: boolean;
  /** Nothing is asked of a mirror. */
  readonly offline: boolean;
  /** Roots are made from nothing. */
  readonly clean: boolean;
  /** Is told each lock. */
  readonly onLock: (name: string, lock: TemplateLock) => void;
}

async function lockTemplate(
  world: LockWorld,
  what: LockWanted,
): ReturnType<TemplatePackages['lockTemplate']> {
  const { imageConfigOf, templateSource } = await import('../template/index.ts');
  const { os, architecture } = what.platform;
  const lock = await lockNamed(world, what);
  if (!lock.ok) return lock;
  const source = templateSource(what.file, lock.value);
  const config = {
    ...{ architecture, os, config: imageConfigOf(lock.value.config) },
    // The root is one layer: without an entry of its own it would take that of the first step after it.
    history: [
      { created_by: `varve compose ${what.file} (${lock.value.packages.length} packages)` },
    ],
  };
  const clean = world.given?.clean === true ? { clean: true } : {};
  return { ok: true, value: { ...source, config, ...clean } };
}

/** The lock of a name: once a command, and of a part out of the lock that it is a part of. */
async function lockNamed(world: LockWorld, what: LockWanted): Promise<Result<TemplateLock>> {
  const part = world.given?.parts.get(what.file);
  if (part !== undefined) {
    const whole = await lockNamed(world, { ...what, file: part.of });
    if (!whole.ok) return whole;
    const { partOfLock } = await import('../template/index.ts');
    return ok(partOfLock(whole.value, part.packages) ?? whole.value);
  }
  const { architecture, variant = '' } = what.platform;
  const key = `${what.file}\0${architecture}${variant}`;
  const lock = world.known.get(key) ?? makeLock(world, what);
  world.known.set(key, lock);
  return await lock;
}

async function makeLock(
  { io, packages, given }: LockWorld,
  { file, platform, signal }: LockWanted,
): Promise<Result<TemplateLock>> {
  const { debianArchitecture, isRpmTemplate, parseRpmTemplate, parseTemplate } = await import(
    '../template/index.ts'
  );
  const known = given?.templates.get(file);
  const parse = (source: SourceFile): Result<RootTemplate> =>
    isRpmTemplate(source.text) ? parseRpmTemplate(source) : parseTemplate(source);
  const template = known === undefined ? readTemplate(io, file, parse) : ok(known);
  if (!template.ok) return template;
  const isRpm = template.value.kind === 'rpm-root';
  const architecture = isRpm ? platform.architecture : debianArchitecture(platform);
  if (architecture === undefined)
    return err(
      failure('TP006', 2, `Debian has no architecture for ${platform.os}/${platform.architecture}`),
    );
  const locked = given?.locks.get(file);
  if (given?.frozen === true && locked === undefined)
    return err(
      failure('TP010', 2, `the lock file has nothing of ${file}`, {
        help: 'make the lock again: build the same without --frozen',
      }),
    );
  const lock =
    locked === undefined
      ? await (await packages()).resolve(template.value, {
          ...{ architecture, signal },
          refresh: given?.offline === true ? 'never' : 'auto',
          warn: (message) => io.err(`warning[PK000]: ${message}\n`),
        })
      : ok(locked);
  if (lock.ok) given?.onLock(file, lock.value);
  return lock;
}

function readTemplate(
  io: Io,
  file: string,
  parse: (source: { readonly path: string; readonly text: string }) => Result<RootTemplate>,
): Result<RootTemplate> {
  try {
    return parse({ path: file, text: readFileSync(resolve(io.cwd, file), 'utf8') });
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return err(failure('TP001', 2, `template ${file} cannot be read: ${e.code ?? ''}`));
  }
}
