import { randomBytes } from 'node:crypto';
import { copyFile, link } from 'node:fs/promises';
import { join } from 'node:path';
import { err, failure, isErrno, ok, type Result, TempDir } from '../base/index.ts';
import type { SourceOp } from '../llb/index.ts';
import type {
  CacheMap,
  Clock,
  OpContext,
  OpDriver,
  OpResult,
  Packages,
  Sandbox,
  Snapshotter,
} from '../ports/index.ts';
import {
  LOCK_ATTR,
  type LockedPackage,
  lockKey,
  parseLock,
  type TemplateLock,
} from '../template/index.ts';
import type { LimitDeps } from './step-limits.ts';
import { buildRoot, type LocalPackage } from './template-root.ts';
import { tidyRoot } from './template-tidy.ts';

/** What making a root file system needs. */
export interface TemplateDeps extends LimitDeps {
  readonly packages: Packages;
  readonly snapshots: Snapshotter;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** A directory on the store's file system for temporary files. */
  readonly workDir: string;
}

/**
 * The driver of `varve-template://<name>`: the lock in the op's attributes decides the key and, byte for byte, the layer.
 * Its one output is a chain of one layer.
 */
export function templateDriver(source: SourceOp, deps: TemplateDeps): OpDriver {
  return {
    cacheMap: () => Promise.resolve(cacheMap(source)),
    contentKey: () => {
      throw new Error('a template has no inputs');
    },
    run: async (context) => {
      const lock = readLock(source);
      return lock.ok ? await makeLayer(lock.value, context, deps) : lock;
    },
  };
}

const readLock = (source: SourceOp): Result<TemplateLock> =>
  parseLock(source.attrs[LOCK_ATTR] ?? '');

function cacheMap(source: SourceOp): Result<CacheMap> {
  const lock = readLock(source);
  if (!lock.ok) return lock;
  const { distribution, suite, architecture, packages } = lock.value;
  const describes = `${distribution} ${suite} ${architecture}, ${packages.length} packages`;
  return ok({ digest: lockKey(lock.value), deps: [], describes });
}

async function makeLayer(
  lock: TemplateLock,
  context: OpContext,
  deps: TemplateDeps,
): Promise<Result<readonly OpResult[]>> {
  const fetched = await fetchAll(lock, context, deps);
  if (!fetched.ok) return fetched;
  await using work = await TempDir.create(deps.workDir, 'template-');
  const packages: LocalPackage[] = [];
  for (const { locked, path } of fetched.value) {
    const file = `${locked.name}_${locked.version.replaceAll(':', '%3a')}_${locked.architecture}.deb`;
    await linkOrCopy(path, join(work.path, file));
    packages.push({ locked, file });
  }
  const epoch = await newest(fetched.value, deps.packages);
  if (!epoch.ok) return epoch;
  await using layer = await deps.snapshots.begin([]);
  {
    await using mounted = await layer.mount();
    const built = await buildRoot(
      { root: mounted.path, lock, packages, packageDir: work.path, epoch: epoch.value },
      { ...deps, id: `template-${randomBytes(6).toString('hex')}` },
      context,
    );
    if (!built.ok) return built;
    tidyRoot(mounted.path, epoch.value);
  }
  return ok([[await layer.commit({ createdAt: deps.clock.now() })]]);
}

interface FetchedPackage {
  readonly locked: LockedPackage;
  readonly path: string;
}

/** Everything at once: the pool bounds the downloads, and one line of progress stands for all of them. */
async function fetchAll(
  lock: TemplateLock,
  context: OpContext,
  deps: TemplateDeps,
): Promise<Result<readonly FetchedPackage[]>> {
  const total = lock.packages.reduce((sum, p) => sum + p.size, 0);
  const arrived = new Map<string, number>();
  const report = (completed: boolean): void =>
    context.emit({
      type: 'status',
      vertex: context.vertex.digest,
      id: `fetch ${lock.packages.length} packages`,
      at: deps.clock.now(),
      current: completed ? total : [...arrived.values()].reduce((sum, n) => sum + n, 0),
      total,
      completed,
    });
  const results = await Promise.all(
    lock.packages.map(async (locked) => {
      const progress = (current: number): void => {
        arrived.set(locked.sha256, current);
        report(false);
      };
      const path = await deps.packages.obtain(lock, locked, { signal: context.signal, progress });
      arrived.set(locked.sha256, locked.size);
      return { locked, path };
    }),
  );
  const fetched: FetchedPackage[] = [];
  const failures = results.flatMap(({ path }) => (path.ok ? [] : [path.error]));
  const [first, ...also] = failures;
  if (first !== undefined) return err(also.length === 0 ? first : { ...first, also });
  for (const { locked, path } of results) if (path.ok) fetched.push({ locked, path: path.value });
  report(true);
  return ok(fetched);
}

/** The root's time: when the newest of its packages was built. It depends on nothing but the lock. */
async function newest(
  fetched: readonly FetchedPackage[],
  packages: Packages,
): Promise<Result<number>> {
  let newest = 0;
  for (const { path } of fetched) {
    const builtAt = await packages.builtAt(path);
    if (!builtAt.ok) return builtAt;
    newest = Math.max(newest, builtAt.value);
  }
  return newest > 0 ? ok(newest) : err(failure('PK050', 2, 'the template chooses no packages'));
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (e) {
    if (!isErrno(e, 'EXDEV', 'EPERM', 'EMLINK')) throw e;
    await copyFile(from, to);
  }
}
