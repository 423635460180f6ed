import { arch, availableParallelism } from 'node:os';

import { join } from 'node:path';
import type { BuildDeps, TemplatePackages } from '../build/index.ts';
import { createContentStore, holdingStore } from '../content/index.ts';
import type { EventSink } from '../events/index.ts';
import { createGitRepositories, createHttpFiles } from '../fetch/index.ts';
import { hostPlatform } from '../oci/index.ts';
import { createCacheMounts, SourceMemory } from '../ops/index.ts';
import { createRegistry, dockerCredentials, hostConfigs } from '../registry/index.ts';
import { createCacheServices, suspectBlobs } from '../remotes/index.ts';
import { createSandbox } from '../sandbox/index.ts';
import { createSnapshotter } from '../snapshot/index.ts';
import { CommandLease } from './command-lease.ts';
import { actionsAccount } from './flags/cache-gha.ts';
import type { Io } from './io.ts';
import { type GivenTemplates, lazyPackages } from './lazy-packages.ts';
import { givenLimits } from './network-limits.ts';
import { proxyFor } from './proxies.ts';
import { registryHosts } from './registry-hosts.ts';
import { snapshotForm } from './snapshot-form.ts';
import { type Store, storePaths } from './store.ts';

/** The adapters of a build, and what its end owes the store. */
export interface BuildWorld extends BuildDeps {
  /** Holds no blob any longer, makes new layers survive a crash of the machine, and removes what killed processes left. */
  readonly tidy: () => Promise<void>;
}

/** Makes the adapters of a build over an open store. */
export function createBuildDeps(
  io: Io,
  store: Store,
  resources: AsyncDisposableStack,
  emit: EventSink,
  templates?: GivenTemplates,
): BuildWorld {
  const paths = storePaths(store.root);
  const { db } = store;
  const limits = givenLimits(io.env);
  const lease = resources.use(new CommandLease(db.leases, 'a command'));
  const content = holdingStore(store.content, lease);
  const registry = resources.use(
    createRegistry({
      content,
      clock: io.clock,
      credentials: dockerCredentials(dockerConfigDir(io)),
      hosts: hostConfigs(registryHosts(io)),
      proxyFor: proxyFor(io.env),
      ...limits,
    }),
  );
  const form = snapshotForm(io.env);
  const snapshotter = resources.use(
    createSnapshotter({
      root: paths.snapshots,
      // `runProgram` has refused what is wrong with it.
      ...(form.ok ? { form: form.value } : {}),
    }),
  );
  const actions = actionsAccount(io.env);
  const packages: TemplatePackages = lazyPackages(io, store, resources, templates);
  return {
    clock: io.clock,
    emit,
    content,
    snapshotter,
    tidy: async () => {
      await lease[Symbol.asyncDispose]();
      snapshotter.settle();
      await snapshotter.sweep();
    },
    registry,
    http: resources.use(
      createHttpFiles({ content, clock: io.clock, proxyFor: proxyFor(io.env), ...limits }),
    ),
    remembered: new SourceMemory(),
    git: createGitRepositories({
      root: paths.git,
      workDir: paths.tmp,
      locks: db.locks,
      env: gitEnv(io.env),
      proxyFor: proxyFor(io.env),
    }),
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
    origins: resources.use(
      createCacheServices({
        content,
        clock: io.clock,
        proxyFor: proxyFor(io.env),
        ...limits,
        suspects: suspectBlobs(db.memo),
        ...(actions === undefined ? {} : { actions }),
      }),
    ),
    openLayout: createContentStore,
    buildPlatform: hostPlatform(arch()),
    maxParallel: Number(io.env['VARVE_WORKERS'] ?? Math.max(2, availableParallelism())),
    paths: { logs: paths.logs, work: paths.tmp },
  };
}

/** What git sees of the environment: where programs are, and the proxies. */
function gitEnv(env: Io['env']): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'];
  const wanted = ['PATH', 'SSL_CERT_FILE', ...names, ...names.map((n) => n.toUpperCase())];
  return Object.fromEntries(
    wanted.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

/** Where Docker keeps its configuration. */
export function dockerConfigDir(io: Io): string {
  const given = io.env['DOCKER_CONFIG'];
  return given === undefined || given === '' ? join(io.env['HOME'] ?? '/root', '.docker') : given;
}
