import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, hexOf, makeImageDirectory, sha256 } from '../base/index.ts';
import { renameWith } from '../sys/index.ts';
import {
  type CacheMountInfo,
  type CacheMountSync,
  complete,
  discard,
  hold,
  holdAway,
  infoOf,
  isAway,
  isComplete,
  namesIn,
  noteSync,
  noteUse,
  type Sharing,
  slotsIn,
  syncOf,
  usedAt,
} from './cache-mount-slot.ts';

/** What a step wants. */
export interface CacheMountRequest {
  /** Name within the store, namespace included. */
  readonly id: string;
  /** Identity of the initial content; another base is another cache. Empty: none. */
  readonly base: string;
  readonly sharing: Sharing;
  /** Do not use what is there (`--no-cache`). */
  readonly fresh: boolean;
  readonly signal: AbortSignal;
  /** Writes the initial content into a new empty directory. */
  readonly fill: (dir: string) => Promise<void>;
  /** Digest of the initial content, the same on every machine; asked when there is a base. */
  readonly content?: () => Promise<Digest>;
  /** Of the step: `linux/amd64`. */
  readonly platform?: string;
  /** Looks for the directory elsewhere. */
  readonly offer?: (content: Digest | '') => Promise<CacheMountOffer | undefined>;
}

/** A state of a cache directory that is kept elsewhere. */
export interface CacheMountOffer {
  /** Where; a name that stays. */
  readonly remote: string;
  /** What: another state has another one. */
  readonly index: Digest;
  /** When it was stored, in milliseconds since the epoch. */
  readonly createdAt: number;
  /**
   * Makes it in an empty directory, taking what is the same from `have`. False when it cannot be had: the directory is
   * then in no defined state.
   */
  readonly restore: (dir: string, have: string | undefined) => Promise<boolean>;
}

/** A cache directory held by a step. */
export interface HeldCacheMount extends Disposable {
  readonly path: string;
}

/** Cache directories of `RUN --mount=type=cache`, shared by all processes on one store. */
export interface CacheMounts {
  acquire(request: CacheMountRequest): Promise<HeldCacheMount>;
  list(): CacheMountInfo[];
  /** Removes one directory unless a step uses it; false when it is in use. */
  remove(path: string): boolean;
  /**
   * Holds a directory of `list` as it is, for a copy of it: no step works in it, or only such that share it when they do
   * not let go of it within `patienceMs`. Undefined when a step has it for itself all that time, `gone` when it was removed.
   */
  freeze(
    path: string,
    options: { readonly signal: AbortSignal; readonly patienceMs: number },
  ): Promise<HeldCacheMount | 'gone' | undefined>;
  /** How a directory stands to a remote. */
  sync(path: string, remote: string): CacheMountSync | undefined;
  noteSync(path: string, remote: string, sync: CacheMountSync): void;
}

/** How often a busy directory is tried again. */
const RETRY_MS = 50;

/** Cache directories below `root`. */
export function createCacheMounts(options: { readonly root: string }): CacheMounts {
  const { root } = options;
  return {
    acquire: async (request) => await acquire(root, request),
    list: () =>
      namesIn(root).flatMap((key) =>
        slotsIn(join(root, key)).flatMap((slot) => infoOf(join(root, key, slot)) ?? []),
      ),
    remove: (path) => {
      const slot = join(path, '..');
      const held = hold(slot, 'exclusive');
      if (held === undefined) return false;
      discard(slot);
      held[Symbol.dispose]();
      return true;
    },
    freeze: async (path, { signal, patienceMs }) => {
      const slot = join(path, '..');
      for (let waited = 0; ; waited += RETRY_MS) {
        signal.throwIfAborted();
        if (!isComplete(slot)) return 'gone';
        const late = waited >= patienceMs;
        const held = holdAway(slot) ?? (late ? hold(slot, 'shared') : undefined);
        if (held !== undefined && isComplete(slot))
          return { path, [Symbol.dispose]: () => held[Symbol.dispose]() };
        held?.[Symbol.dispose]();
        if (late) return undefined;
        await retryLater();
      }
    },
    sync: (path, remote) => syncOf(join(path, '..'), remote),
    noteSync: (path, remote, sync) => noteSync(join(path, '..'), remote, sync),
  };
}

async function retryLater(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}

/** A request, and what answers to it elsewhere. */
type Wanted = CacheMountRequest & { readonly found: CacheMountOffer | undefined };

async function foundFor(request: CacheMountRequest): Promise<CacheMountOffer | undefined> {
  const { fresh, offer } = request;
  return fresh || offer === undefined ? undefined : await offer(await contentOf(request));
}

async function contentOf({ base, content }: CacheMountRequest): Promise<Digest | ''> {
  return base === '' || content === undefined ? '' : await content();
}

async function acquire(root: string, request: CacheMountRequest): Promise<HeldCacheMount> {
  const dir = join(root, hexOf(sha256(`${request.id}\0${request.base}`)).slice(0, 32));
  mkdirSync(dir, { recursive: true });
  const wanted = { ...request, found: await foundFor(request) };
  let fresh = request.fresh;
  for (;;) {
    request.signal.throwIfAborted();
    if (fresh) discardUnused(dir);
    const waits = request.sharing === 'locked' && !fresh && slotsIn(dir).length > 0;
    const held = await take(dir, wanted, { reuse: !fresh, make: !waits });
    if (held !== undefined) return held;
    fresh = false;
    await retryLater();
  }
}

/** Takes the first slot that can be had, or makes one; undefined when it is worth trying again later. */
async function take(
  dir: string,
  wanted: Wanted,
  options: { readonly reuse: boolean; readonly make: boolean },
): Promise<HeldCacheMount | undefined> {
  const slots = slotsIn(dir);
  for (const name of slots) {
    const slot = join(dir, name);
    if (!isComplete(slot)) {
      const made = await make(slot, wanted);
      if (made !== undefined) return made;
      // Somebody is filling it: a step that shares it waits for that.
      if (wanted.sharing === 'shared') return undefined;
    } else if (options.reuse) {
      await refresh(slot, wanted);
      const held = hold(slot, wanted.sharing === 'shared' ? 'shared' : 'exclusive');
      if (held !== undefined && isComplete(slot)) return use(slot, held, wanted);
      held?.[Symbol.dispose]();
      if (wanted.sharing === 'shared' && isAway(slot)) return undefined;
    }
  }
  if (!options.make) return undefined;
  const free = slots.findIndex((name, i) => name !== String(i));
  return await make(join(dir, String(free === -1 ? slots.length : free)), wanted);
}

/** Makes a slot with the initial content; undefined when another step does. */
async function make(slot: string, wanted: Wanted): Promise<HeldCacheMount | undefined> {
  mkdirSync(slot, { recursive: true });
  const held = hold(slot, 'exclusive');
  if (held === undefined) return undefined;
  try {
    if (!isComplete(slot)) await fill(slot, wanted);
  } catch (e) {
    held[Symbol.dispose]();
    throw e;
  }
  if (wanted.sharing !== 'shared') return use(slot, held, wanted);
  held[Symbol.dispose]();
  const shared = hold(slot, 'shared');
  return shared === undefined ? undefined : use(slot, shared, wanted);
}

async function fill(slot: string, wanted: Wanted): Promise<void> {
  const data = join(slot, 'data');
  const { found, id, base } = wanted;
  emptyDir(data);
  const restored = await found?.restore(data, undefined);
  if (restored !== true) {
    if (restored === false) emptyDir(data);
    await wanted.fill(data);
  }
  if (found !== undefined) noteOffer(slot, found, restored === true);
  complete(slot, { id, base, content: await contentOf(wanted) });
}

/** Puts a newer state from elsewhere in the place of one that no step uses now. */
async function refresh(slot: string, { found }: Wanted): Promise<void> {
  if (found === undefined || !isNewer(slot, found)) return;
  using held = holdAway(slot);
  if (held === undefined || !isComplete(slot) || !isNewer(slot, found)) return;
  const [data, fresh] = [join(slot, 'data'), join(slot, 'data.new')];
  emptyDir(fresh);
  const restored = await found.restore(fresh, data);
  if (restored) renameWith(fresh, data, 'exchange');
  rmSync(fresh, { recursive: true, force: true });
  noteOffer(slot, found, restored);
}

function isNewer(slot: string, found: CacheMountOffer): boolean {
  const sync = syncOf(slot, found.remote);
  if (sync?.index === found.index) return false;
  return found.createdAt > usedAt(slot) || readdirSync(join(slot, 'data')).length === 0;
}

function noteOffer(slot: string, found: CacheMountOffer, restored: boolean): void {
  const { remote, index } = found;
  noteSync(slot, remote, { index, usedAt: usedAt(slot), damaged: !restored });
}

function emptyDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  makeImageDirectory(dir);
}

function use(slot: string, held: Disposable, wanted: Wanted): HeldCacheMount {
  noteUse(slot, wanted.platform ?? '');
  return { path: join(slot, 'data'), [Symbol.dispose]: () => held[Symbol.dispose]() };
}

function discardUnused(dir: string): void {
  for (const name of slotsIn(dir)) {
    const slot = join(dir, name);
    const held = hold(slot, 'exclusive');
    if (held === undefined) continue;
    discard(slot);
    held[Symbol.dispose]();
  }
}
