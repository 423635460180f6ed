import { arch, availableParallelism } from 'node:os';

import { join } from 'node:path';
import type { BuildDeps, TemplatePackages } from '../build/index.ts';
import { createContentStore } from '../content/index.ts';
import type { EventSink } from '../events/index.ts';
import { hostPlatform } from '../oci/index.ts';
import { createCacheMounts } from '../ops/index.ts';
import { createRegistry, dockerCredentials } from '../registry/index.ts';
import { createSandbox } from '../sandbox/index.ts';
import { createSnapshotter } from '../snapshot/index.ts';
import type { Io } from './io.ts';
import { lazyPackages } from './lazy-packages.ts';
import { proxyFor } from './proxies.ts';
import { type Store, storePaths } from './store.ts';

/** Makes the adapters of a build over an open store. */
export function createBuildDeps(
  io: Io,
  store: Store,
  resources: AsyncDisposableStack,
  emit: EventSink,
): BuildDeps {
  const paths = storePaths(store.root);
  const { db, content } = store;
  const registry = resources.use(
    createRegistry({
      content,
      clock: io.clock,
      credentials: dockerCredentials(dockerConfigDir(io)),
      proxyFor: proxyFor(io.env),
    }),
  );
  const packages: TemplatePackages = lazyPackages(io, store, resources);
  return {
    clock: io.clock,
    emit,
    content,
    snapshotter: createSnapshotter({ root: paths.snapshots }),
    registry,
    sandbox: createSandbox({
      stateDir: paths.run,
      ...(io.env['VARVE_RUNTIME'] === undefined ? {} : { runtime: io.env['VARVE_RUNTIME'] }),
    }),
    cacheMounts: createCacheMounts({ root: paths.mounts }),
    packages,
    cache: db.cache,
    traces: db.traces,
    locks: db.locks,
    leases: db.leases,
    layers: db.layers,
    images: db.images,
    history: db.history,
    memo: db.memo,
    openLayout: createContentStore,
    buildPlatform: hostPlatform(arch()),
    maxParallel: Math.max(2, availableParallelism()),
    paths: { logs: paths.logs, work: paths.tmp },
  };
}

/** Where Docker keeps its configuration. */
export function dockerConfigDir(io: Io): string {
  const given = io.env['DOCKER_CONFIG'];
  return given === undefined || given === '' ? join(io.env['HOME'] ?? '/root', '.docker') : given;
}
