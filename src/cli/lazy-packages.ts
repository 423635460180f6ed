import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { err, failure, isErrno, type Result } from '../base/index.ts';
import type { TemplatePackages } from '../build/index.ts';
import type { Platform } from '../oci/index.ts';
import type { PackageStore } from '../packages/index.ts';
import type { Io } from './io.ts';
import { type Store, storePaths } from './store.ts';

/** The package store, loaded with its libraries when a template is first asked for: most builds have none. */
export function lazyPackages(
  io: Io,
  store: Store,
  resources: AsyncDisposableStack,
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
      lockTemplate(io, packages, { file, platform, signal }),
  };
}

async function lockTemplate(
  io: Io,
  packages: () => Promise<PackageStore>,
  what: { readonly file: string; readonly platform: Platform; readonly signal: AbortSignal },
): ReturnType<TemplatePackages['lockTemplate']> {
  const { debianArchitecture, imageConfigOf, parseTemplate, templateSource } = await import(
    '../template/index.ts'
  );
  const text = readTemplate(io, what.file);
  if (!text.ok) return text;
  const template = parseTemplate({ path: what.file, text: text.value });
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
  const lock = await (await packages()).resolve(template.value, {
    architecture,
    refresh: 'auto',
    warn: (message) => io.err(`warning[PK000]: ${message}\n`),
    signal: what.signal,
  });
  if (!lock.ok) return lock;
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

function readTemplate(io: Io, file: string): Result<string> {
  try {
    return { ok: true, value: readFileSync(resolve(io.cwd, file), 'utf8') };
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return err(failure('TP001', 2, `template ${file} cannot be read: ${e.code ?? ''}`));
  }
}
