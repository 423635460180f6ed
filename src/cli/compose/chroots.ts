import { readdirSync, statSync } from 'node:fs';
import { arch } from 'node:os';
import { join, resolve } from 'node:path';
import {
  byCodeUnit,
  err,
  type Failure,
  failure,
  isErrno,
  ok,
  type Result,
} from '../../base/index.ts';
import { type BuildDeps, readRootSnapshot, takeRootSnapshot } from '../../build/index.ts';
import { hostPlatform } from '../../oci/index.ts';
import {
  LOCK_ATTR,
  lockKey,
  type OsTemplate,
  parseLock,
  type RootSnapshot,
  type TemplateLock,
} from '../../template/index.ts';
import type { Options } from '../build-request.ts';
import { createBuildDeps } from '../build-world.ts';
import { progressMode } from '../command-log.ts';
import type { Io } from '../io.ts';
import type { GivenTemplates } from '../lazy-packages.ts';
import { createDisplay } from '../progress/display.ts';
import type { Store } from '../store.ts';
import { contextName } from './given-templates.ts';

/** Roots in which the tools of a compose run; that of the kernel makes the initramfs. */
export const TOOL_ROOTS = ['kernel', 'disk', 'convert', 'verity', 'sign', 'iso', 'boot'] as const;
/** One of them. */
export type ToolRoot = (typeof TOOL_ROOTS)[number];

const SUFFIX = '.tar.zst';

/** The distribution that tools are of, as os-image-composer names it. */
export const providerId = ({ target }: OsTemplate): string =>
  `${target.os}-${target.dist}-${target.arch}`;

/** Name of the file of a root in a directory of several. */
export const snapshotName = (provider: string, root: ToolRoot): string =>
  `${provider}-${root}${SUFFIX}`;

/** Which packages a root is made of. Indexes are fetched, packages are not. */
export async function lockOfRoot(
  file: string,
  root: ToolRoot,
  { deps, signal }: { readonly deps: BuildDeps; readonly signal: AbortSignal },
): Promise<Result<TemplateLock>> {
  const { packages } = deps;
  const platform = hostPlatform(arch());
  const chosen = await packages.lockTemplate(contextName(file, root), platform, signal);
  return chosen.ok ? parseLock(chosen.value.attrs[LOCK_ATTR] ?? '') : chosen;
}

/**
 * Begins a compose with the roots of tools in files that `varve compose chroot` wrote (`--chroot`, a file or a directory of
 * them). A file that is damaged, or of other packages than the template's tools, is said and not used: they are installed.
 */
export async function useChroots(
  io: Io,
  store: Store,
  work: {
    readonly paths: readonly string[];
    readonly options: Options;
    readonly file: string;
    readonly provider: string;
    readonly given: GivenTemplates;
    readonly resources: AsyncDisposableStack;
  },
): Promise<Result<void>> {
  const { resources, given } = work;
  const files = work.paths.map((path) => filesOf(resolve(io.cwd, path)));
  const unread = files.find((each) => !each.ok);
  if (unread?.ok === false) return unread;
  const mode = progressMode(io, work.options);
  const display = createDisplay(mode, io.terminal, () => io.clock.now());
  const deps = createBuildDeps(io, store, resources, display.accept, given);
  const lease = resources.use(deps.leases.open('roots of tools'));
  try {
    for (const path of files.flatMap((each) => (each.ok ? each.value : []))) {
      const used = await useChroot(path, work, { deps, lease, signal: io.signal });
      if (used.ok) continue;
      if (used.error.code !== 'TP014') return used;
      io.err(`warning[TP014]: ${used.error.message}: these tools are installed from packages\n`);
    }
  } finally {
    display.end();
  }
  return ok(undefined);
}

async function useChroot(
  path: string,
  { file, provider, given }: { file: string; provider: string; given: GivenTemplates },
  work: Parameters<typeof takeRootSnapshot>[2],
): Promise<Result<void>> {
  const snapshot = await readRootSnapshot(path);
  if (!snapshot.ok) return snapshot;
  const root = TOOL_ROOTS.find((each) => each === snapshot.value.root);
  if (root === undefined || snapshot.value.provider !== provider)
    return err(
      unfit(path, `it is of the ${snapshot.value.root} tools of ${snapshot.value.provider}`),
    );
  const name = contextName(file, root);
  // A directory may have more than this template needs.
  if (!given.templates.has(name) && !given.parts.has(name)) return ok(undefined);
  const lock = await lockOfRoot(file, root, work);
  if (!lock.ok) return lock;
  if (lockKey(lock.value) !== snapshot.value.key)
    return err(unfit(path, difference(snapshot.value, lock.value)));
  const taken = await takeRootSnapshot({ path, snapshot: snapshot.value }, lock.value, work);
  return taken.ok ? ok(undefined) : taken;
}

const unfit = (path: string, why: string): Failure =>
  failure('TP014', 3, `${path} is not used: ${why}`);

/** The first package that is another one. */
function difference(snapshot: RootSnapshot, lock: TemplateLock): string {
  const had = new Map(snapshot.packages.map((p) => [p.name, p]));
  for (const { name, version, sha256 } of lock.packages) {
    const old = had.get(name);
    if (old === undefined) return `it has no ${name}`;
    if (old.sha256 !== sha256) return `it has ${name} ${old.version}, and ${version} is wanted`;
    had.delete(name);
  }
  const [left] = had.keys();
  return left === undefined ? 'its packages are those of another root' : `it has ${left} too`;
}

function filesOf(path: string): Result<readonly string[]> {
  try {
    if (!statSync(path).isDirectory()) return ok([path]);
    const names = readdirSync(path).filter((name) => name.endsWith(SUFFIX));
    return ok(names.sort(byCodeUnit).map((name) => join(path, name)));
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'ENOTDIR')) throw e;
    return err(failure('CL002', 2, `--chroot: ${path} cannot be read: ${e.code ?? ''}`));
  }
}
