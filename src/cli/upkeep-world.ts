import { createNamesFile } from '../content/index.ts';
import { createCacheMounts } from '../ops/index.ts';
import { createSnapshotter } from '../snapshot/index.ts';
import type { UpkeepDeps } from '../upkeep/index.ts';
import { fail, type Io } from './io.ts';
import { openStore, type Store, storePaths } from './store.ts';

/** Makes the adapters of upkeep over an open store. */
export function createUpkeepDeps(io: Io, store: Store): UpkeepDeps {
  const paths = { root: store.root, ...storePaths(store.root) };
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

/** Opens the store for upkeep, and closes it behind `action`. */
export async function withUpkeep(
  io: Io,
  action: (deps: UpkeepDeps, store: Store) => Promise<number>,
): Promise<number> {
  const opened = openStore(io);
  if (!opened.ok) return fail(io, opened.error);
  using store = opened.value;
  return await action(createUpkeepDeps(io, store), store);
}
