import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  byCodeUnit,
  type Digest,
  goJson,
  isErrno,
  isRecord,
  parseDigest,
  parseJson,
  temporaryName,
} from '../base/index.ts';
import { tryLock } from '../sys/index.ts';

/*
 * <root>/<hash of id and base>/<slot>/{lock,info.json,data,used,platform-*,synced.json,away}: a second slot appears when the
 * first is in use by a step that does not share it. Whoever uses a slot holds a flock(2) on `lock`, which ends with the
 * process; a slot without `info.json` was not completed and is made again. `away` says that whoever holds the lock alone
 * gives it back soon without being a step: those who share the directory wait instead of making another one.
 */

/** How several steps may use one cache mount: together, each its own, or one after the other. */
export type Sharing = 'shared' | 'private' | 'locked';

/** What is known of a directory besides its place. */
export interface SlotInfo {
  readonly id: string;
  readonly base: string;
  /** Digest of the initial content, the same on every machine; empty without one. */
  readonly content: Digest | '';
}

/** A cache directory on disk. */
export interface CacheMountInfo extends SlotInfo {
  readonly path: string;
  /** Milliseconds since the epoch of the last use. */
  readonly usedAt: number;
  /** Platforms of the steps that used it: `linux/amd64`. */
  readonly platforms: readonly string[];
}

/** How a directory stands to what a remote keeps of it. */
export interface CacheMountSync {
  /** The index there when the two were last compared. */
  readonly index: Digest;
  /** Last use of the directory at that time: unchanged since, when it is still that. */
  readonly usedAt: number;
  /** What is there cannot be used. */
  readonly damaged: boolean;
}

/** Remotes whose state is remembered. */
const MAX_SYNCS = 16;

/** Whether a slot was filled. */
export function isComplete(slot: string): boolean {
  return existsSync(join(slot, 'info.json'));
}

/** Marks a slot as filled. */
export function complete(slot: string, info: SlotInfo): void {
  const { id, base, content } = info;
  writeWhole(slot, 'info.json', goJson({ version: 2, id, base, content }));
}

/** Notes a use now. */
export function noteUse(slot: string, platform: string): void {
  // Its time says when the directory was last used.
  writeFileSync(join(slot, 'used'), '');
  const name = join(slot, `platform-${encodeURIComponent(platform)}`);
  if (platform !== '' && !existsSync(name)) writeFileSync(name, '');
}

/** Milliseconds since the epoch of the last use; 0 when there was none. */
export function usedAt(slot: string): number {
  return statSync(join(slot, 'used'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The directory of a slot, when it is a complete one. */
export function infoOf(slot: string): CacheMountInfo | undefined {
  const info = readJson(join(slot, 'info.json'));
  if (info === undefined) return undefined;
  const { id, base } = info;
  if (typeof id !== 'string' || typeof base !== 'string') return undefined;
  const content = parseDigest(String(info['content'])) ?? '';
  const platforms = namesIn(slot)
    .filter((name) => name.startsWith('platform-'))
    .map((name) => decodeURIComponent(name.slice('platform-'.length)))
    .sort(byCodeUnit);
  return { id, base, content, path: join(slot, 'data'), usedAt: usedAt(slot), platforms };
}

/** How a slot stands to a remote, as far as that was noted. */
export function syncOf(slot: string, remote: string): CacheMountSync | undefined {
  const sync = readJson(join(slot, 'synced.json'))?.[remote];
  if (!isRecord(sync)) return undefined;
  const index = parseDigest(String(sync['index']));
  if (index === undefined || typeof sync['usedAt'] !== 'number') return undefined;
  return { index, usedAt: sync['usedAt'], damaged: sync['damaged'] === true };
}

/** Notes how a slot stands to a remote; it is nobody's loss when the slot was removed meanwhile. */
export function noteSync(slot: string, remote: string, sync: CacheMountSync): void {
  const { index, usedAt: at, damaged } = sync;
  const others = Object.keys(readJson(join(slot, 'synced.json')) ?? {})
    .filter((name) => name !== remote)
    .slice(1 - MAX_SYNCS)
    .flatMap((name): (readonly [string, CacheMountSync])[] => {
      const known = syncOf(slot, name);
      return known === undefined ? [] : [[name, known]];
    });
  const all = new Map([...others, [remote, { index, usedAt: at, damaged }]]);
  const text = goJson(Object.fromEntries([...all].map(([name, value]) => [name, { ...value }])));
  ifThere(() => writeWhole(slot, 'synced.json', text));
}

/** Locks a slot without waiting; undefined when it is in use or just being removed. */
export function hold(slot: string, how: 'shared' | 'exclusive'): Disposable | undefined {
  const path = join(slot, 'lock');
  const fd = ifThere(() => openSync(path, 'a'));
  if (fd === undefined) return undefined;
  const same = (): boolean => statSync(path, { throwIfNoEntry: false })?.ino === inodeOf(fd);
  if (tryLock(fd, how) && same()) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  return undefined;
}

/** As `hold` exclusively, for a short while: who shares the directory waits for it. */
export function holdAway(slot: string): Disposable | undefined {
  const held = hold(slot, 'exclusive');
  if (held === undefined) return undefined;
  const mark = join(slot, 'away');
  writeFileSync(mark, '');
  return {
    [Symbol.dispose]: () => {
      rmSync(mark, { force: true });
      held[Symbol.dispose]();
    },
  };
}

/** Whether a slot that cannot be locked will be free again soon. */
export function isAway(slot: string): boolean {
  return existsSync(join(slot, 'away'));
}

/** Removes a slot whose lock is held: `info.json` first, so that a crash leaves an incomplete slot. */
export function discard(slot: string): void {
  rmSync(join(slot, 'info.json'), { force: true });
  rmSync(slot, { recursive: true, force: true });
}

/** Slots of one directory, in order. */
export function slotsIn(dir: string): string[] {
  return namesIn(dir)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
}

/** Names in a directory; none where there is no directory. */
export function namesIn(dir: string): string[] {
  return ifThere(() => readdirSync(dir)) ?? [];
}

function readJson(path: string): Readonly<Record<string, unknown>> | undefined {
  const text = ifThere(() => readFileSync(path, 'utf8'));
  const json = text === undefined ? undefined : parseJson(text);
  return json?.ok === true && isRecord(json.value) ? json.value : undefined;
}

function writeWhole(slot: string, name: string, text: string): void {
  const tmp = join(slot, temporaryName(name));
  writeFileSync(tmp, text);
  renameSync(tmp, join(slot, name));
}

/** What `work` gives; undefined when the slot is not there, or was just removed by its last user or a trim. */
function ifThere<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
}

function inodeOf(fd: number): number | undefined {
  return statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false })?.ino;
}
