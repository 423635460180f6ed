import type { Failure } from '../base/index.ts';
import { bytesText } from '../base/index.ts';
import type { CacheMountOffers } from '../ops/index.ts';
import type { OpContext } from '../ports/index.ts';
import {
  type FoundMount,
  findMount,
  type MountKey,
  mountRemote,
  readMountIndex,
  restoreMount,
} from '../remotes/index.ts';
import { openCacheRemote } from './cache-remotes.ts';
import { openTrust } from './cache-signing.ts';
import { rememberedPlaces } from './mount-places.ts';
import { counted, type MountDeps, shownMount, syncName } from './mount-use.ts';
import type { CacheSource } from './request.ts';

/**
 * Looks for cache mounts in the caches that were given with `mounts=true`, in their order: the first that has one is the
 * one that counts. Each is asked at most once a build, and nothing is asked before a step that mounts the directory runs.
 */
export function mountOffers(deps: MountDeps, sources: readonly CacheSource[]): CacheMountOffers {
  const places = [...sources.filter((each) => each.mounts === true), ...rememberedPlaces(deps)];
  const asked = new Map<string, Promise<FoundAt | undefined>>();
  return async (mount, context) => {
    const key = `${mount.id}\0${mount.base}\0${mount.platform}`;
    let asking = asked.get(key);
    if (asking === undefined) asked.set(key, (asking = find(deps, places, mount, context)));
    const found = await asking;
    if (found === undefined) return undefined;
    return {
      remote: syncName(found.place, mount.platform),
      index: found.index.digest,
      // A clock that runs ahead elsewhere must not make a directory newer than any use of it.
      createdAt: Math.min(found.createdAt, deps.clock.now()),
      restore: (dir, have) => restore(deps, found, { mount, dir, have, context }),
    };
  };
}

/** Where a mount was found. */
type FoundAt = FoundMount & { readonly place: CacheSource; readonly cache: string };

async function find(
  deps: MountDeps,
  places: readonly CacheSource[],
  mount: MountKey,
  context: OpContext,
): Promise<FoundAt | undefined> {
  for (const place of places) {
    const cache = openCacheRemote(deps, place);
    const trust = await openTrust(place, deps.clock);
    const remote = cache.ok ? mountRemote(cache.value, mount) : cache;
    const refuse = trust.ok && trust.value !== undefined ? { refuse: trust.value } : {};
    const options = { signal: context.signal, ...refuse };
    const ready = trust.ok ? remote : trust;
    const found = ready.ok ? await findMount(ready.value, mount, options) : ready;
    if (cache.ok && found.ok && found.value !== undefined)
      return { ...found.value, place, cache: cache.value.name };
    if (!found.ok) notRestored(context, mount, found.error);
  }
  return undefined;
}

async function restore(
  deps: MountDeps,
  found: FoundAt,
  work: {
    readonly mount: MountKey;
    readonly dir: string;
    readonly have: string | undefined;
    readonly context: OpContext;
  },
): Promise<boolean> {
  const { mount, dir, have, context } = work;
  const { signal } = context;
  const { content } = deps;
  const index = await readMountIndex(found, { signal });
  const done = index.ok
    ? await restoreMount(dir, index.value, {
        ...{ signal, remote: found.remote },
        forget: (pack) => content.remove(pack),
        ...(have === undefined ? {} : { have }),
      })
    : index;
  await content.remove(found.index.digest);
  if (!done.ok) {
    notRestored(context, mount, done.error);
    return false;
  }
  const { files, bytes, fetched } = done.value;
  say(
    deps,
    context,
    `cache mount ${shownMount(mount)}: ${counted(files, 'file')}, ${bytesText(bytes)} restored from ${found.cache} (${bytesText(fetched)} fetched)`,
  );
  return true;
}

function notRestored(context: OpContext, mount: MountKey, why: Failure): void {
  context.emit({
    type: 'warning',
    vertex: context.vertex.digest,
    rule: 'CacheMountNotRestored',
    message: `the cache mount ${shownMount(mount)} is used as it is here: ${why.message}`,
  });
}

/** A line of a step's log. */
function say(deps: MountDeps, context: OpContext, text: string): void {
  context.emit({
    type: 'log',
    vertex: context.vertex.digest,
    at: deps.clock.now(),
    stream: 2,
    data: Buffer.from(`${text}\n`),
  });
}
