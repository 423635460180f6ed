import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { goJson, ok, TempDir, writeAtomically } from '../../base/index.ts';
import type { BuildRequest } from '../../build/index.ts';
import {
  cycloneDxDocument,
  DATABASE_COPY,
  dependencyDot,
  type InventorySubject,
  installedPackages,
  spdxDocument,
} from '../../disk/index.ts';
import { readRpmDatabase } from '../../packages/index.ts';
import type { Options } from '../build-request.ts';
import { fail, type Io } from '../io.ts';
import { type Store, storePaths } from '../store.ts';

/** Writes what was asked for of the packages that are installed: `--spdx`, `--cyclonedx`, `--dot` and `--html`. */
export async function writeInventory(
  io: Io,
  store: Store,
  work: {
    readonly options: Options;
    /** Name, version and distribution; the time is that of the database. */
    readonly subject: Omit<InventorySubject, 'time'>;
    readonly format: 'deb' | 'rpm';
    /** Brings the database of packages, called `DATABASE_COPY`, to a directory. */
    readonly fetch: (outputs: BuildRequest['outputs']) => Promise<number>;
  },
): Promise<number> {
  const { options } = work;
  const wanted = (['spdx', 'cyclonedx', 'dot', 'html'] as const).flatMap((kind) => {
    const path = options.text(kind);
    return path === undefined ? [] : [{ kind, path: resolve(io.cwd, path) }];
  });
  if (wanted.length === 0) return 0;
  await using tmp = await TempDir.create(storePaths(store.root).tmp, 'inventory-');
  const dir = tmp.path;
  const code = await work.fetch([{ type: 'local', dest: dir, attrs: new Map() }]);
  if (code !== 0) return code;
  const path = join(dir, DATABASE_COPY);
  const read =
    work.format === 'rpm'
      ? readRpmDatabase(path)
      : ok(installedPackages(readFileSync(path, 'utf8')));
  if (!read.ok) return fail(io, read.error);
  const packages = read.value;
  const subject = { ...work.subject, time: Math.floor(statSync(path).mtimeMs / 1000) };
  const text = {
    spdx: () => `${goJson(spdxDocument(subject, packages))}\n`,
    cyclonedx: () => `${goJson(cycloneDxDocument(subject, packages))}\n`,
    dot: () => dependencyDot(packages),
  };
  for (const { kind, path: to } of wanted) {
    const made =
      kind === 'html'
        ? (await packagesPageOf())({ title: `${subject.name} ${subject.version}`, packages })
        : text[kind]();
    await writeAtomically(to, Buffer.from(made));
  }
  return 0;
}

/** The page, with the library that draws it: loaded when somebody asks for one. */
export const packagesPageOf = async (): Promise<
  typeof import('../../report/index.ts')['packagesPage']
> => (await import('../../report/index.ts')).packagesPage;
