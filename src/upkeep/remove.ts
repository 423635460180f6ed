import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, parseDigest } from '../base/index.ts';
import { sweepContent } from '../content/index.ts';
import type { Entry, Removal } from '../gc/index.ts';
import type { Eviction, HeldNow, LayerId } from '../ports/index.ts';
import type { UpkeepDeps } from './deps.ts';

/** What came of a removal. */
export interface Removed {
  readonly removed: readonly Removal[];
  readonly freed: number;
  /** What was not removed after all, and why. */
  readonly spared: readonly { readonly removal: Removal; readonly why: string }[];
  /** The images changed meanwhile: what is left of the plan must be made anew. */
  readonly stale: boolean;
}

/** Entries whose rows go, and then their bytes, under one hold of the database. */
const BATCH = 64;

/** Clocks of the kernel's file times and of processes differ a little. */
const SLACK_MS = 2000;

/** A file that nobody wrote to for so long is nobody's. */
const UNFINISHED_MS = 24 * 3600_000;

/** Rows about evictions are kept this long. */
const KEEP_EVICTIONS_MS = 90 * 24 * 3600_000;

/**
 * Removes what a plan says, in its order. The database forgets first; then the bytes are moved aside while no process can
 * take a lease, and deleted at leisure. What a process has taken hold of since the plan was made is spared, and with it
 * what it stands on. A crash at any point leaves bytes that nothing names, which the next run removes.
 */
export async function carryOut(
  deps: UpkeepDeps,
  removals: readonly Removal[],
  options: { readonly signal: AbortSignal; readonly onRemoved?: (removal: Removal) => void },
): Promise<Removed> {
  const { signal } = options;
  const trash = join(deps.paths.root, 'trash');
  // Only the holder of the lock has a trash: what is there was left by one that died.
  await rm(trash, { recursive: true, force: true });
  const work = new RemovalWork(deps, join(trash, randomBytes(6).toString('hex')));
  for (let at = 0; at < removals.length && !work.stale; at += BATCH) {
    signal.throwIfAborted();
    const done = await work.batch(removals.slice(at, at + BATCH));
    await rm(trash, { recursive: true, force: true });
    for (const removal of done) options.onRemoved?.(removal);
  }
  const { content } = deps.paths;
  await sweepContent(content, { olderThanMs: UNFINISHED_MS, now: deps.clock.now() });
  deps.db.compact({ now: deps.clock.now(), keepEvictionsMs: KEEP_EVICTIONS_MS });
  return work.outcome();
}

/** Runs `work` as the only process that trims the store; undefined when another one does and `wait` is not asked. */
export async function trimming<T>(
  deps: UpkeepDeps,
  options: { readonly signal: AbortSignal; readonly wait: boolean },
  work: () => Promise<T>,
): Promise<T | undefined> {
  const lock = options.wait
    ? await deps.locks.lock('gc', options.signal)
    : await deps.locks.tryLock('gc');
  if (lock === undefined) return undefined;
  await using _held = lock;
  return await work();
}

class RemovalWork {
  stale = false;
  readonly #deps: UpkeepDeps;
  readonly #trash: string;
  readonly #images: string;
  readonly #gone = new Set<string>();
  /** Entries that something spared stands on. */
  readonly #needed = new Set<string>();
  readonly #removed: Removal[] = [];
  readonly #spared: { readonly removal: Removal; readonly why: string }[] = [];
  #moved = 0;

  constructor(deps: UpkeepDeps, trash: string) {
    this.#deps = deps;
    this.#trash = trash;
    this.#images = imageState(deps);
  }

  async batch(removals: readonly Removal[]): Promise<readonly Removal[]> {
    const { db } = this.#deps;
    const forgotten = db.exclusively((held) => {
      if (this.#isStale()) return [];
      const chosen = removals.filter((removal) => this.#maySee(removal, held));
      for (const { entry } of chosen) this.#gone.add(entry.id);
      db.evict(chosen.map((removal) => this.#evictionOf(removal)));
      return chosen;
    });
    const slow = forgotten.filter(({ entry }) => entry.kind === 'mount' || entry.kind === 'git');
    const quick = forgotten.filter((removal) => !slow.includes(removal));
    const done = db.exclusively((held) => {
      if (this.#isStale()) return [];
      return quick.filter(
        (removal) => this.#maySee(removal, held) && this.#moveAside(removal.entry),
      );
    });
    for (const removal of slow) if (await this.#removeSlowly(removal)) done.push(removal);
    this.#removed.push(...done);
    return done;
  }

  outcome(): Removed {
    const freed = this.#removed.reduce((sum, { entry }) => sum + entry.bytes, 0);
    return { removed: this.#removed, freed, spared: this.#spared, stale: this.stale };
  }

  #isStale(): boolean {
    this.stale ||= imageState(this.#deps) !== this.#images;
    return this.stale;
  }

  /** Whether an entry may go, by what processes hold at this moment. */
  #maySee(removal: Removal, held: HeldNow): boolean {
    const { entry } = removal;
    const why = this.#needed.has(entry.id) ? 'something spared stands on it' : whyHeld(entry, held);
    if (why === undefined) return true;
    for (const id of entry.parents) this.#needed.add(id);
    this.#gone.delete(entry.id);
    this.#spared.push({ removal, why });
    return false;
  }

  #evictionOf({ entry, why }: Removal): Eviction {
    const at = this.#deps.clock.now();
    const { formsOf = [] } = entry;
    const lost = formsOf.filter(
      ({ elsewhere, twins }) => !elsewhere && twins.every((id) => this.#gone.has(id)),
    );
    const digest = entry.kind === 'blob' ? parseDigest(entry.id.slice('blob:'.length)) : undefined;
    const isElsewhere = formsOf.some(({ elsewhere }) => elsewhere);
    return {
      ...{ resource: entry.id, rule: why, at },
      // Brand: entries are made of the database's layer ids.
      layers: lost.map(({ layer }) => layer as LayerId),
      ...(digest === undefined || isElsewhere ? {} : { blob: digest }),
    };
  }

  /** Moves the bytes where nobody finds them. */
  #moveAside(entry: Entry): boolean {
    mkdirSync(this.#trash, { recursive: true, mode: 0o700 });
    for (const path of entry.paths) {
      try {
        renameSync(path, join(this.#trash, String(this.#moved++)));
      } catch (e) {
        // A directory of the user's may be on another file system: what is removed there are single files.
        if (isErrno(e, 'EXDEV')) rmSync(path, { recursive: true, force: true });
        // Gone already: somebody else removed it, or moved it to the quarantine.
        else if (!isErrno(e, 'ENOENT')) throw e;
      }
    }
    return true;
  }

  /** What has locks of its own. */
  async #removeSlowly(removal: Removal): Promise<boolean> {
    const { entry } = removal;
    const [path = ''] = entry.paths;
    if (entry.kind === 'mount') {
      if (this.#deps.mounts.remove(join(path, 'data'))) return true;
      this.#spared.push({ removal, why: 'a step uses it' });
      return false;
    }
    const lock = await this.#deps.locks.tryLock(`git ${path}`);
    if (lock === undefined) {
      this.#spared.push({ removal, why: 'a build fetches into it' });
      return false;
    }
    await using _held = lock;
    return this.#moveAside(entry);
  }
}

/** The names of images and what they mean. */
function imageState({ images }: Pick<UpkeepDeps, 'images'>): string {
  return images
    .list()
    .map(({ name, target }) => `${name} ${target.digest}`)
    .join('\n');
}

/** Why a process that is at work may need an entry; undefined when none does. */
function whyHeld(entry: Entry, held: HeldNow): string | undefined {
  const names = [entry.id, ...(entry.formsOf ?? []).map(({ layer }) => `layer:${layer}`)];
  const lease = names.map((name) => held.resources.get(name)).find((by) => by !== undefined);
  if (lease !== undefined) return `${lease} is at work with it`;
  if (entry.kind === 'log' && held.purposes.includes(`build ${entry.id.slice('log:'.length)}`))
    return 'the build runs';
  if (held.since === undefined || entry.kind === 'mount' || entry.kind === 'git') return undefined;
  // Written by several steps that must see each other's.
  if (entry.kind === 'index') return 'a build runs, which may read it';
  const since = held.since - SLACK_MS;
  const fresh = entry.paths.some((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat !== undefined && Math.max(stat.mtimeMs, stat.ctimeMs) >= since;
  });
  return fresh ? 'it was written or used since a build that still runs began' : undefined;
}
