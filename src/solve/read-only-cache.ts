import type { Digest } from '../base/index.ts';
import type { CacheDb, RecordId } from '../ports/index.ts';

/** Above the row numbers of the database. */
const PRETENDED = 2 ** 52;

/** A view of a key graph that is never written: roots that would be made are nobody's parents and have no result. */
export function readOnlyCache(cache: CacheDb): CacheDb {
  const made = new Map<Digest, RecordId>();
  const digests = new Map<RecordId, Digest>();
  const nothing = (): void => undefined;
  const pretend = (digest: Digest): RecordId => {
    const known = made.get(digest);
    if (known !== undefined) return known;
    // This function makes ids of its own, above all real ones.
    const id = (PRETENDED + made.size) as RecordId;
    made.set(digest, id);
    digests.set(id, digest);
    return id;
  };
  const isReal = (record: RecordId): boolean => record < PRETENDED;
  return {
    root: (digest) => cache.root(digest) ?? made.get(digest),
    ensureRoot: (digest) => cache.root(digest) ?? pretend(digest),
    children: (parents, link) => {
      const real = parents.filter(isReal);
      return real.length === 0 ? [] : cache.children(real, link);
    },
    knows: (digest) => cache.knows(digest),
    ensureRecord: () => {
      throw new Error('a plan makes no records');
    },
    addInputs: nothing,
    results: (record) => (isReal(record) ? cache.results(record) : []),
    addResult: nothing,
    removeResult: nothing,
    used: nothing,
    eviction: (record) => (isReal(record) ? cache.eviction?.(record) : undefined),
    digestOf: (record) => digests.get(record) ?? cache.digestOf(record),
    inputsOf: (record) => (isReal(record) ? cache.inputsOf(record) : []),
  };
}
