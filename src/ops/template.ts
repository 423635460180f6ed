import { randomBytes } from 'node:crypto';
import { copyFile, link } from 'node:fs/promises';
import { join } from 'node:path';
import { awaitAll, err, failure, isErrno, ok, type Result, TempDir } from '../base/index.ts';
import type { SourceOp } from '../llb/index.ts';
import type {
  CacheMap,
  Clock,
  OpContext,
  OpDriver,
  Packages,
  Sandbox,
  Snapshotter,
} from '../ports/index.ts';
import {
  bareLock,
  LOCK_ATTR,
  type LockedPackage,
  lockKey,
  parseLock,
  type TemplateLock,
} from '../template/index.ts';
import { buildRpmRoot } from './rpm-root.ts';
import type { LimitDeps } from './step-limits.ts';
import { layerRoot } from './template-layers.ts';
import { buildRoot, type LocalPackage } from './template-root.ts';
import { type EarlierRoot, essentialLock, isBare, type RootShelf } from './template-shelf.ts';
import { clampTimes, tidyRoot } from './template-tidy.ts';

/** What making a root file system needs. */
export interface TemplateDeps extends LimitDeps {
  readonly packages: Packages;
  readonly snapshots: Snapshotter;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** A directory on the store's file system for temporary files. */
  readonly workDir: string;
  /** Roots made earlier, to begin with; absent: every root is made from nothing. */
  readonly shelf?: RootShelf;
}

/**
 * The driver of `varve-template://<name>`: the lock in the op's attributes decides the key and, byte for byte, the layer.
 * Its one output is a chain of one layer, or of as many as the lock allows.
 */
export function templateDriver(source: SourceOp, deps: TemplateDeps): OpDriver {
  return {
    cacheMap: () => Promise.resolve(cacheMap(source)),
    contentKey: () => {
      throw new Error('a template has no inputs');
    },
    run: async (context) => {
      const lock = readLock(source);
      if (!lock.ok) return lock;
      const { layers, ...whole } = lock.value;
      const made = await makeRoot(whole, context, deps);
      if (!made.ok || layers === undefined) return made.ok ? ok([made.value.chain]) : made;
      const { chain, epoch } = made.value;
      await using _held = deps.shelf?.hold(made.value);
      const divided = { budget: layers, epoch, signal: context.signal };
      return ok([await layerRoot(chain, divided, deps)]);
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

/** Seconds since the epoch of what has one. */
interface Times {
  readonly epoch: number;
  readonly newest: number;
}

/** Makes the root of a lock, on the nearest earlier root where there is a shelf of them and the step may use what is known. */
async function makeRoot(
  lock: TemplateLock,
  context: OpContext,
  deps: TemplateDeps,
): Promise<Result<EarlierRoot>> {
  const shelf = context.vertex.metadata.ignoreCache ? undefined : deps.shelf;
  if (shelf === undefined) return await layerOf(lock, undefined, { context, deps });
  return await shelf.whileUnderWay(lock, async () => await onShelf(lock, shelf, context, deps));
}

/**
 * A root on the nearest earlier one. Files and accounts come on a root of the packages alone, packages on the nearest root
 * with some of them, and the first root of a distribution on that of its essential packages, so that later ones have it.
 */
async function onShelf(
  lock: TemplateLock,
  shelf: RootShelf,
  context: OpContext,
  deps: TemplateDeps,
): Promise<Result<EarlierRoot>> {
  const started = deps.clock.now();
  const essential = essentialLock(lock);
  const first = isBare(lock) ? essential : bareLock(lock);
  const isFirst = isBare(lock) && essential.packages.length === lock.packages.length;
  let base = await shelf.nearest(lock);
  if ((base === undefined || !isBare(lock)) && !isFirst) {
    const made = await shelf.once(first, context.signal, async () => {
      return await onShelf(first, shelf, context, deps);
    });
    if (!made.ok) return made;
    base = made.value;
  }
  await using _held = base === undefined ? undefined : shelf.hold(base);
  const made = await layerOf(lock, base, { context, deps });
  if (made.ok) shelf.add(lock, made.value, deps.clock.now() - started);
  return made;
}

/** One layer with the whole root: what `base` lacks is installed on it. */
async function layerOf(
  lock: TemplateLock,
  base: EarlierRoot | undefined,
  { context, deps }: { readonly context: OpContext; readonly deps: TemplateDeps },
): Promise<Result<EarlierRoot>> {
  const missing = lock.packages.filter((p) => base?.packages.has(p.sha256) !== true);
  const tools = missing.length === 0 ? [] : (lock.rpm?.tools ?? []);
  const fetched = await fetchAll(lock, [...missing, ...tools], { context, deps });
  if (!fetched.ok) return fetched;
  const own = fetched.value.slice(0, missing.length);
  await using work = await TempDir.create(deps.workDir, 'template-');
  const packages = await gather(own, work.path, lock.rpm === undefined ? 'deb' : 'rpm');
  const times = await timesOf(own, base, deps.packages);
  if (!times.ok) return times;
  const { epoch, newest } = times.value;
  await using layer = await deps.snapshots.begin(base?.chain ?? []);
  {
    await using mounted = await layer.mount();
    const build = lock.rpm === undefined ? buildRoot : buildRpmRoot;
    const built = await build(
      {
        ...{ root: mounted.path, lock, packages, packageDir: work.path, epoch },
        ...{ fromNothing: base === undefined, tools: fetched.value.slice(missing.length) },
      },
      { ...deps, id: `template-${randomBytes(6).toString('hex')}` },
      context,
    );
    if (!built.ok) return built;
    tidyRoot(mounted.path, lock.rpm?.dbPath);
  }
  // What lies below was tidied when it was made.
  clampTimes(layer.upper, { after: newest, to: epoch, directories: lock.rpm !== undefined });
  const ref = await layer.commit({ createdAt: deps.clock.now(), standalone: true });
  return ok({ chain: [ref], epoch, newest, packages: new Set(lock.packages.map((p) => p.sha256)) });
}

/** Brings packages together in one directory, under names that are the same on every machine. */
async function gather(
  fetched: readonly FetchedPackage[],
  dir: string,
  kind: 'deb' | 'rpm',
): Promise<readonly LocalPackage[]> {
  const packages: LocalPackage[] = [];
  for (const { locked, path } of fetched) {
    const version = locked.version.replaceAll(':', '%3a');
    const file = `${locked.name}_${version}_${locked.architecture}.${kind}`;
    await linkOrCopy(path, join(dir, file));
    packages.push({ locked, file });
  }
  return packages;
}

interface FetchedPackage {
  readonly locked: LockedPackage;
  readonly path: string;
}

/** Everything at once: the pool bounds the downloads, and one line of progress stands for all of them. */
async function fetchAll(
  lock: TemplateLock,
  wanted: readonly LockedPackage[],
  { context, deps }: { readonly context: OpContext; readonly deps: TemplateDeps },
): Promise<Result<readonly FetchedPackage[]>> {
  const total = wanted.reduce((sum, p) => sum + p.size, 0);
  const arrived = new Map<string, number>();
  const report = (completed: boolean): void =>
    context.emit({
      type: 'status',
      vertex: context.vertex.digest,
      id: `fetch ${wanted.length} packages`,
      at: deps.clock.now(),
      current: completed ? total : [...arrived.values()].reduce((sum, n) => sum + n, 0),
      total,
      completed,
    });
  const results = await awaitAll(
    wanted.map(async (locked) => {
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

/**
 * The root's time is when the newest of its essential packages was built: roots that begin with one another agree on it,
 * and it depends on nothing but the lock.
 */
async function timesOf(
  fetched: readonly FetchedPackage[],
  base: Times | undefined,
  packages: Packages,
): Promise<Result<Times>> {
  let { epoch, newest } = base ?? { epoch: 0, newest: 0 };
  for (const { locked, path } of fetched) {
    const builtAt = await packages.builtAt(path);
    if (!builtAt.ok) return builtAt;
    newest = Math.max(newest, builtAt.value);
    if (base === undefined && locked.step === 0) epoch = Math.max(epoch, builtAt.value);
  }
  if (newest === 0) return err(failure('PK050', 2, 'the template chooses no packages'));
  return ok({ epoch: epoch === 0 ? newest : epoch, newest });
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (e) {
    if (!isErrno(e, 'EXDEV', 'EPERM', 'EMLINK')) throw e;
    await copyFile(from, to);
  }
}
