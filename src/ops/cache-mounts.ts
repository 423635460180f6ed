import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hexOf, isErrno, isRecord, parseJson, sha256 } from '../base/index.ts';
import { tryLock } from '../sys/index.ts';

/** How several steps may use one cache mount: together, each its own, or one after the other. */
export type Sharing = 'shared' | 'private' | 'locked';

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
}

/** A cache directory held by a step. */
export interface HeldCacheMount extends Disposable {
  readonly path: string;
}

/** A cache directory on disk. */
export interface CacheMountInfo {
  readonly id: string;
  readonly base: string;
  readonly path: string;
  /** Milliseconds since the epoch of the last use. */
  readonly usedAt: number;
}

/** Cache directories of `RUN --mount=type=cache`, shared by all processes on one store. */
export interface CacheMounts {
  acquire(request: CacheMountRequest): Promise<HeldCacheMount>;
  list(): CacheMountInfo[];
  /** Whether a step uses the directory at this moment. */
  inUse(path: string): boolean;
  /** Removes one directory unless a step uses it; false when it is in use. */
  remove(path: string): boolean;
}

/** How often a busy directory is tried again. */
const RETRY_MS = 50;

/*
 * <root>/<hash of id and base>/<slot>/{lock,info.json,data}: a second slot appears when the first is in use by a step that
 * does not share it. Whoever uses a slot holds a flock(2) on `lock`, which ends with the process; a slot without
 * `info.json` was not completed and is made again.
 */

/** Cache directories below `root`. */
export function createCacheMounts(options: { readonly root: string }): CacheMounts {
  const { root } = options;
  return {
    acquire: async (request) => await acquire(root, request),
    list: () =>
      namesIn(root).flatMap((key) =>
        slotsIn(join(root, key)).flatMap((slot) => infoOf(join(root, key, slot))),
      ),
    inUse: (path) => {
      const held = hold(join(path, '..'), 'exclusive');
      held?.[Symbol.dispose]();
      return held === undefined;
    },
    remove: (path) => {
      const slot = join(path, '..');
      const held = hold(slot, 'exclusive');
      if (held === undefined) return false;
      discard(slot);
      held[Symbol.dispose]();
      return true;
    },
  };
}

async function acquire(root: string, request: CacheMountRequest): Promise<HeldCacheMount> {
  const dir = join(root, hexOf(sha256(`${request.id}\0${request.base}`)).slice(0, 32));
  mkdirSync(dir, { recursive: true });
  let fresh = request.fresh;
  for (;;) {
    request.signal.throwIfAborted();
    if (fresh) discardUnused(dir);
    const waits = request.sharing === 'locked' && !fresh && slotsIn(dir).length > 0;
    const held = await take(dir, request, { reuse: !fresh, make: !waits });
    if (held !== undefined) return held;
    fresh = false;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Takes the first slot that can be had, or makes one; undefined when it is worth trying again later. */
async function take(
  dir: string,
  request: CacheMountRequest,
  options: { readonly reuse: boolean; readonly make: boolean },
): Promise<HeldCacheMount | undefined> {
  const slots = slotsIn(dir);
  for (const name of slots) {
    const slot = join(dir, name);
    if (!isComplete(slot)) {
      const made = await make(slot, request);
      if (made !== undefined) return made;
      // Somebody is filling it: a step that shares it waits for that.
      if (request.sharing === 'shared') return undefined;
    } else if (options.reuse) {
      const held = hold(slot, request.sharing === 'shared' ? 'shared' : 'exclusive');
      if (held !== undefined && isComplete(slot)) return use(slot, held);
      held?.[Symbol.dispose]();
    }
  }
  if (!options.make) return undefined;
  const free = slots.findIndex((name, i) => name !== String(i));
  return await make(join(dir, String(free === -1 ? slots.length : free)), request);
}

/** Makes a slot with the initial content; undefined when another step does. */
async function make(slot: string, request: CacheMountRequest): Promise<HeldCacheMount | undefined> {
  mkdirSync(slot, { recursive: true });
  const held = hold(slot, 'exclusive');
  if (held === undefined) return undefined;
  try {
    if (!isComplete(slot)) await fill(slot, request);
  } catch (e) {
    held[Symbol.dispose]();
    throw e;
  }
  if (request.sharing !== 'shared') return use(slot, held);
  held[Symbol.dispose]();
  const shared = hold(slot, 'shared');
  return shared === undefined ? undefined : use(slot, shared);
}

function isComplete(slot: string): boolean {
  return existsSync(join(slot, 'info.json'));
}

async function fill(slot: string, request: CacheMountRequest): Promise<void> {
  const data = join(slot, 'data');
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { mode: 0o755 });
  await request.fill(data);
  const tmp = join(slot, '.tmp-info');
  writeFileSync(tmp, JSON.stringify({ version: 1, id: request.id, base: request.base }));
  renameSync(tmp, join(slot, 'info.json'));
}

function use(slot: string, held: Disposable): HeldCacheMount {
  // Its time says when the directory was last used.
  writeFileSync(join(slot, 'used'), '');
  return { path: join(slot, 'data'), [Symbol.dispose]: () => held[Symbol.dispose]() };
}

/** Locks a slot without waiting; undefined when it is in use or just being removed. */
function hold(slot: string, how: 'shared' | 'exclusive'): Disposable | undefined {
  const path = join(slot, 'lock');
  const fd = openIfThere(path);
  if (fd === undefined) return undefined;
  const same = (): boolean => statSync(path, { throwIfNoEntry: false })?.ino === inodeOf(fd);
  if (tryLock(fd, how) && same()) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  return undefined;
}

/** The directory may just have been removed by its last user. */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'a');
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
}

function inodeOf(fd: number): number | undefined {
  return statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false })?.ino;
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

/** Removes a slot whose lock is held: `info.json` first, so that a crash leaves an incomplete slot. */
function discard(slot: string): void {
  rmSync(join(slot, 'info.json'), { force: true });
  rmSync(slot, { recursive: true, force: true });
}

function infoOf(slot: string): CacheMountInfo[] {
  const file = join(slot, 'info.json');
  if (!existsSync(file)) return [];
  const info = parseJson(readFileSync(file, 'utf8'));
  if (!info.ok || !isRecord(info.value)) return [];
  const { id, base } = info.value;
  if (typeof id !== 'string' || typeof base !== 'string') return [];
  const usedAt = statSync(join(slot, 'used'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return [{ id, base, path: join(slot, 'data'), usedAt }];
}

function slotsIn(dir: string): string[] {
  return namesIn(dir)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
}

function namesIn(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}
