import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { createNamesFile } from '../content/index.ts';
import { createCacheMounts } from '../ops/index.ts';
import { createSnapshotter } from '../snapshot/index.ts';
import type { PackageDir, UpkeepDeps } from '../upkeep/index.ts';
import { fail, type Io } from './io.ts';
import { openStore, type Store, storePaths } from './store.ts';

/** Makes the adapters of upkeep over an open store. */
export function createUpkeepDeps(
  io: Io,
  store: Store,
  packageDirs: readonly PackageDir[] = [],
): UpkeepDeps {
  const paths = { root: store.root, ...storePaths(store.root), packageDirs };
  const { db, content } = store;
  return {
    clock: io.clock,
    content,
    layers: createSnapshotter({ root: paths.snapshots }),
    mounts: createCacheMounts({ root: paths.mounts }),
    images: db.images,
    names: createNamesFile(paths.content),
    history: db.history,
    db: db.upkeep,
    locks: db.locks,
    paths,
    gitEnv: { PATH: io.env['PATH'] ?? '' },
  };
}

/** What a command of upkeep does with a directory of packages that is the user's. */
interface UpkeepOptions {
  /** Those of the command: `cacheDir` goes before `VARVE_PACKAGES`. */
  readonly values: Readonly<Record<string, unknown>>;
  /** It removes: where others work with the directory, nothing of it goes. */
  readonly removes?: boolean;
}

/** Opens the store for upkeep, with the directory of packages that was named, and closes it behind `action`. */
export async function withUpkeep(
  io: Io,
  options: UpkeepOptions,
  action: (deps: UpkeepDeps, store: Store) => Promise<number>,
): Promise<number> {
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  using store = opened.value;
  const path = namedCacheDir(io, options);
  if (path === undefined || path === storePaths(store.root).packages)
    return await action(createUpkeepDeps(io, store), store);
  const { claimCacheDir } = await import('./cache-dir-lock.ts');
  using claimed = options.removes === true ? claimCacheDir(path) : undefined;
  const inUse = options.removes === true && claimed === undefined;
  if (inUse) io.err(`another command works with ${path}: nothing of it is removed\n`);
  return await action(createUpkeepDeps(io, store, [{ path, inUse }]), store);
}

/** The directory of packages that was named and is there. */
function namedCacheDir(io: Io, { values }: UpkeepOptions): string | undefined {
  const named = values['cacheDir'] ?? io.env['VARVE_PACKAGES'];
  const path = typeof named === 'string' ? resolve(io.cwd, named) : undefined;
  return path === undefined || !existsSync(path) ? undefined : realpathSync(path);
}
