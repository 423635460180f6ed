import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { err, failure, isErrno, ok, type Result } from '../base/index.ts';
import type { TemplatePackages } from '../build/index.ts';
import type { Platform } from '../oci/index.ts';
import type { PackageStore } from '../packages/index.ts';
import type { Template, TemplateLock } from '../template/index.ts';
import type { Io } from './io.ts';
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
    return resources.use(
      createPackageStore({
        root: storePaths(store.root).packages,
        clock: io.clock,
        locks: store.db.locks,
        hostRoot: '/',
        ...(given?.offline === true ? { offline: true } : {}),
        onDamage: ({ name, path }) =>
          io.err(`warning[PK000]: ${name} was damaged in the store and set aside (${path})\n`),
      }),
    );
  };
  const packages = (): Promise<PackageStore> => (opened ??= open());
  return {
    obtain: async (...args) => await (await packages()).obtain(...args),
    extract: async (...args) => await (await packages()).extract(...args),
    builtAt: async (...args) => await (await packages()).builtAt(...args),
    lockTemplate: (file, platform, signal) =>
      lockTemplate(io, packages, { file, platform, signal, given }),
  };
}

/** Templates that are not files of their own, by the name that stands for them, and how all are resolved. */
export interface GivenTemplates {
  readonly templates: ReadonlyMap<string, Template>;
  /** Locks to be used as they are, by name. */
  readonly locks: ReadonlyMap<string, TemplateLock>;
  /** A root without a lock is a failure. */
  readonly frozen: boolean;
  /** Nothing is asked of a mirror. */
  readonly offline: boolean;
  /** Is told each lock. */
  readonly onLock: (name: string, lock: TemplateLock) => void;
}

async function lockTemplate(
  io: Io,
  packages: () => Promise<PackageStore>,
  what: {
    readonly file: string;
    readonly platform: Platform;
    readonly signal: AbortSignal;
    readonly given: GivenTemplates | undefined;
  },
): ReturnType<TemplatePackages['lockTemplate']> {
  const { debianArchitecture, imageConfigOf, parseTemplate, templateSource } = await import(
    '../template/index.ts'
  );
  const { given } = what;
  const known = given?.templates.get(what.file);
  const template = known === undefined ? readTemplate(io, what.file, parseTemplate) : ok(known);
  if (!template.ok) return template;
  const architecture = debianArchitecture(what.platform);
  if (architecture === undefined)
    return err(
      failure(
        'TP006',
        2,
        `Debian has no architecture for ${what.platform.os}/${what.platform.architecture}`,
      ),
    );
  const locked = given?.locks.get(what.file);
  if (given?.frozen === true && locked === undefined)
    return err(
      failure('TP010', 2, `the lock file has nothing of ${what.file}`, {
        help: 'make the lock again: build the same without --frozen',
      }),
    );
  const lock =
    locked === undefined
      ? await (await packages()).resolve(template.value, {
          architecture,
          refresh: given?.offline === true ? 'never' : 'auto',
          warn: (message) => io.err(`warning[PK000]: ${message}\n`),
          signal: what.signal,
        })
      : ok(locked);
  if (!lock.ok) return lock;
  given?.onLock(what.file, lock.value);
  const source = templateSource(what.file, lock.value);
  const config = {
    architecture: what.platform.architecture,
    os: what.platform.os,
    config: imageConfigOf(lock.value.config),
    // The root is one layer: without an entry of its own it would take that of the first step after it.
    history: [
      { created_by: `varve compose ${what.file} (${lock.value.packages.length} packages)` },
    ],
  };
  return { ok: true, value: { ...source, config } };
}

function readTemplate(
  io: Io,
  file: string,
  parse: (source: { readonly path: string; readonly text: string }) => Result<Template>,
): Result<Template> {
  try {
    return parse({ path: file, text: readFileSync(resolve(io.cwd, file), 'utf8') });
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return err(failure('TP001', 2, `template ${file} cannot be read: ${e.code ?? ''}`));
  }
}
