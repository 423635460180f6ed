import { bytesText, ok, type Result } from '../base/index.ts';
import type { CacheMountInfo } from '../ops/index.ts';
import type { CacheRemote } from '../ports/index.ts';
import { exportMount, findMount, type MountKey, mountRemote } from '../remotes/index.ts';
import { openCacheRemote } from './cache-remotes.ts';
import { openSigner, type Signer } from './cache-signing.ts';
import { type InternalStep, internalStep, type StepReport } from './internal-step.ts';
import { counted, type MountDeps, type MountUse, shownMount, syncName } from './mount-use.ts';
import type { CachePlace, CacheTarget } from './request.ts';

/** How long an export waits for steps of other builds to let go of a directory. */
const PATIENCE_MS = 10_000;

/** Stores directories of cache mounts at every target that wants them; `wanted` undefined: all that are here. */
export async function exportMounts(
  deps: MountDeps,
  what: {
    readonly targets: readonly CacheTarget[];
    readonly wanted: readonly MountUse[] | undefined;
  },
  report: StepReport & { readonly signal: AbortSignal },
): Promise<Result<void>> {
  for (const target of what.targets) {
    const { place } = target;
    if (target.mounts !== true || place.kind === 'inline') continue;
    const remote = openCacheRemote(deps, place);
    if (!remote.ok) return remote;
    const sign = await openSigner(target, report.clock);
    if (!sign.ok) return sign;
    const title = `exporting cache mounts to ${remote.value.name}`;
    const done = await internalStep(report, title, async (step): Promise<Result<void>> => {
      const context = { report, step, place, remote: remote.value, sign: sign.value };
      for (const mount of chosen(deps.cacheMounts.list(), what.wanted)) {
        const stored = await exportOne(deps, mount, context);
        if (stored.ok) continue;
        if (!target.ignoreError) return stored;
        warn(
          context,
          `the cache mount ${shownMount(mount)} was not exported: ${stored.error.message}`,
        );
      }
      return ok(undefined);
    });
    if (!done.ok) return done;
  }
  return ok(undefined);
}

/** A directory for each platform that used it; of several of one name the one that was used last. */
function chosen(
  here: readonly CacheMountInfo[],
  wanted: readonly MountUse[] | undefined,
): readonly (CacheMountInfo & { readonly platform: string })[] {
  const newest = new Map<string, CacheMountInfo & { readonly platform: string }>();
  for (const info of here) {
    // A base that no other machine would name so.
    if (info.base !== '' && info.content === '') continue;
    for (const platform of info.platforms) {
      const isWanted =
        wanted === undefined || wanted.some((w) => w.id === info.id && w.platform === platform);
      const key = `${info.id}\0${info.content}\0${platform}`;
      if (isWanted && info.usedAt > (newest.get(key)?.usedAt ?? -1))
        newest.set(key, { ...info, platform });
    }
  }
  return [...newest.values()];
}

interface Exporting {
  readonly report: StepReport & { readonly signal: AbortSignal };
  readonly step: InternalStep;
  readonly place: CachePlace;
  readonly remote: CacheRemote;
  readonly sign: Signer | undefined;
}

async function exportOne(
  deps: MountDeps,
  mount: CacheMountInfo & { readonly platform: string },
  context: Exporting,
): Promise<Result<void>> {
  const key: MountKey = { id: mount.id, base: mount.content, platform: mount.platform };
  const remote = mountRemote(context.remote, key);
  if (!remote.ok) return remote;
  const { signal } = context.report;
  const { cacheMounts } = deps;
  const title = `cache mount ${shownMount(mount)}`;
  const name = syncName(context.place, mount.platform);
  context.step.status(title);
  const last = cacheMounts.sync(mount.path, name);
  const unused = last !== undefined && !last.damaged && last.usedAt === mount.usedAt;
  if (unused && context.sign === undefined) {
    const there = await findMount(remote.value, key, { signal });
    if (there.ok && there.value?.index.digest === last.index) {
      context.step.done(`${title}: unchanged`);
      return ok(undefined);
    }
  }
  const done = await exportMount(
    deps,
    {
      key,
      remote: remote.value,
      ...(context.sign === undefined ? {} : { sign: context.sign }),
      hold: () => cacheMounts.freeze(mount.path, { signal, patienceMs: PATIENCE_MS }),
      ...(last?.damaged === true ? { damaged: last.index } : {}),
    },
    { signal },
  );
  if (!done.ok) return done;
  if (done.value === 'busy') {
    warn(context, `the cache mount ${shownMount(mount)} was not exported: a step uses it`);
    return ok(undefined);
  }
  if (done.value === 'empty' || done.value === 'gone') {
    context.step.done(`${title}: ${done.value === 'gone' ? 'removed meanwhile' : 'empty'}`);
    return ok(undefined);
  }
  const { index, files, bytes, sent, restless } = done.value;
  cacheMounts.noteSync(mount.path, name, {
    ...{ index, usedAt: mount.usedAt, damaged: false },
  });
  if (restless.length > 0)
    warn(context, `${title}: left out because they changed all the time: ${restless.join(', ')}`);
  const what = `${title}: ${counted(files, 'file')}, ${bytesText(bytes)}; ${bytesText(sent)} sent`;
  context.step.done(title);
  context.report.emit({
    ...{ type: 'log', vertex: context.step.vertex, at: deps.clock.now(), stream: 2 },
    data: Buffer.from(`${what}\n`),
  });
  return ok(undefined);
}

function warn({ report, step }: Exporting, message: string): void {
  report.emit({ type: 'warning', vertex: step.vertex, rule: 'CacheMountExport', message });
}
