import { isRecord, parseDigest, parseJson, type Result, sha256 } from '../base/index.ts';
import { recordDigest } from '../cachekey/index.ts';
import type {
  CacheDb,
  Clock,
  LayerChain,
  Leases,
  MemoDb,
  Snapshotter,
  WorkLocks,
} from '../ports/index.ts';
import { bareLock, lockKey, type TemplateLock } from '../template/index.ts';

/** What finding earlier roots needs. */
export interface ShelfDeps {
  readonly cache: CacheDb;
  readonly memo: MemoDb;
  readonly locks: WorkLocks;
  readonly leases: Leases;
  readonly snapshots: Pick<Snapshotter, 'has'>;
  readonly clock: Clock;
}

/** A finished root that another one may begin with. */
export interface EarlierRoot {
  readonly chain: LayerChain;
  /** Digests of its packages. */
  readonly packages: ReadonlySet<string>;
  /** Seconds since the epoch: the time that everything generated in it has. */
  readonly epoch: number;
  /** When the newest of its packages was built: nothing that comes out of a package is younger. */
  readonly newest: number;
}

type RootFacts = Omit<EarlierRoot, 'chain'>;

const NAMESPACE = 'template-roots';
/** Roots remembered of one distribution; the oldest are forgotten. */
const MAX_ROOTS = 64;

/** Whether a lock is of packages alone: only such a root is one that others begin with. */
export const isBare = (lock: TemplateLock): boolean =>
  lock.files.length === 0 && lock.users.length === 0 && !lock.aptSources;

/** The packages without which nothing can be installed: what every root of a distribution has in common. */
export function essentialLock(lock: TemplateLock): TemplateLock {
  const packages = lock.packages.filter((p) => p.step === 0);
  return { ...bareLock(lock), packages: packages.map((p) => ({ ...p, manual: false })) };
}

/**
 * The roots that this store has made, by their packages. A root stands here as long as its record does: trimming needs to
 * know nothing of this.
 */
export class RootShelf {
  readonly #deps: ShelfDeps;
  /** Roots that steps of this build are making. */
  readonly #underWay = new Map<TemplateLock, Promise<unknown>>();

  constructor(deps: ShelfDeps) {
    this.#deps = deps;
  }

  /** The root with the most of a lock's packages and nothing else: what is missing can be installed on it. */
  async nearest(lock: TemplateLock): Promise<EarlierRoot | undefined> {
    const sizes = new Map<string, number>(lock.packages.map((p) => [p.sha256, p.size]));
    const fitting = this.#known(lock)
      .filter(({ facts }) => [...facts.packages].every((p) => sizes.has(p)))
      .map((root) => ({
        ...root,
        bytes: [...root.facts.packages].reduce((sum, p) => sum + (sizes.get(p) ?? 0), 0),
      }))
      .sort((a, b) => b.bytes - a.bytes);
    for (const { key, facts } of fitting) {
      const chain = await this.#chainOf(key);
      if (chain !== undefined) return { ...facts, chain };
    }
    return undefined;
  }

  /** The finished root of a lock itself. */
  async exactly(lock: TemplateLock): Promise<EarlierRoot | undefined> {
    const key = lockKey(lock);
    const known = this.#known(lock).find((root) => root.key === key);
    const chain = known === undefined ? undefined : await this.#chainOf(key);
    return known === undefined || chain === undefined ? undefined : { ...known.facts, chain };
  }

  /** Makes a finished root known, with the record that it is found by. */
  add(lock: TemplateLock, root: EarlierRoot, costMs: number): void {
    if (!isBare(lock)) return;
    const { cache, memo, clock } = this.#deps;
    const key = lockKey(lock);
    cache.addResult(cache.ensureRoot(recordDigest(key, 0)), {
      chain: root.chain,
      createdAt: clock.now(),
      costMs,
    });
    const { epoch, newest } = root;
    const row = { key, epoch, newest, packages: [...root.packages] };
    const others = this.#known(lock)
      .filter((other) => other.key !== key)
      .map(({ key: other, facts }) => ({ key: other, ...facts, packages: [...facts.packages] }));
    const text = JSON.stringify([row, ...others].slice(0, MAX_ROOTS));
    memo.set(NAMESPACE, familyOf(lock), Buffer.from(text));
  }

  /** Keeps the layers of a root from being trimmed until disposed. */
  hold(root: EarlierRoot): AsyncDisposable {
    const lease = this.#deps.leases.open('template');
    lease.add(...root.chain.map((layer) => `layer:${layer.id}`));
    return lease;
  }

  /**
   * Makes a root while others wait for it that could begin with it. Roots of a build are begun together: the smaller one
   * of two that share everything but some packages is finished first.
   */
  async whileUnderWay<T>(lock: TemplateLock, make: () => Promise<Result<T>>): Promise<Result<T>> {
    const made = (async () => {
      // Those that begin at the same time make themselves known first.
      await new Promise(setImmediate);
      for (const [other, done] of [...this.#underWay])
        if (other !== lock && isPartOf(other, lock)) await done.catch(() => undefined);
      return await make();
    })();
    this.#underWay.set(lock, made);
    try {
      return await made;
    } finally {
      this.#underWay.delete(lock);
    }
  }

  /** Makes the root of a lock once, whoever asks for it. */
  async once(
    lock: TemplateLock,
    signal: AbortSignal,
    make: () => Promise<Result<EarlierRoot>>,
  ): Promise<Result<EarlierRoot>> {
    await using _lock = await this.#deps.locks.lock(`template-root:${lockKey(lock)}`, signal);
    const known = await this.exactly(lock);
    return known === undefined ? await make() : { ok: true, value: known };
  }

  async #chainOf(key: string): Promise<LayerChain | undefined> {
    const digest = parseDigest(key);
    const record =
      digest === undefined ? undefined : this.#deps.cache.root(recordDigest(digest, 0));
    if (record === undefined) return undefined;
    for (const { chain } of this.#deps.cache.results(record))
      if (await this.#deps.snapshots.has(chain)) return chain;
    return undefined;
  }

  #known(lock: TemplateLock): readonly { readonly key: string; readonly facts: RootFacts }[] {
    const value = this.#deps.memo.get(NAMESPACE, familyOf(lock));
    const parsed = value === undefined ? undefined : parseJson(Buffer.from(value).toString('utf8'));
    if (parsed?.ok !== true || !Array.isArray(parsed.value)) return [];
    // What a store remembers is checked as everything that comes from a disk.
    return (parsed.value as readonly unknown[]).flatMap((row) => {
      if (!isRecord(row)) return [];
      const { key, epoch, newest, packages } = row;
      return typeof key === 'string' &&
        typeof epoch === 'number' &&
        typeof newest === 'number' &&
        Array.isArray(packages)
        ? [{ key, facts: { epoch, newest, packages: new Set(packages.map(String)) } }]
        : [];
    });
  }
}

/** Roots of one family have the same packages to begin with, and so the same time for what is generated. */
const familyOf = (lock: TemplateLock): string => sha256(lockKey(essentialLock(lock)));

const isPartOf = (part: TemplateLock, whole: TemplateLock): boolean => {
  if (part.packages.length >= whole.packages.length) return false;
  const all = new Set<string>(whole.packages.map((p) => p.sha256));
  return isBare(part) && part.packages.every((p) => all.has(p.sha256));
};
