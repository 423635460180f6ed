import type { Digest } from '../base/index.ts';
import type { MemoDb } from '../ports/index.ts';

const MEMO = 'suspect-blob.v1';
const [SUSPECT, WRITTEN] = [new Uint8Array([1]), new Uint8Array([0])];

/**
 * Blobs that were read from a cache and were not what they are called. A place tells the size of a blob, not its digest: an
 * export would leave a damaged blob of the right size where it is, and every reader would meet it again.
 */
export interface SuspectBlobs {
  add(origin: string, digest: Digest): void;
  has(origin: string, digest: Digest): boolean;
  /** Notes that a blob was written anew. */
  clear(origin: string, digest: Digest): void;
}

/** What a store remembers of damaged blobs elsewhere. */
export function suspectBlobs(memo: MemoDb): SuspectBlobs {
  const has = (origin: string, digest: Digest): boolean =>
    memo.get(MEMO, `${origin} ${digest}`)?.[0] === SUSPECT[0];
  return {
    has,
    add: (origin, digest) => memo.set(MEMO, `${origin} ${digest}`, SUSPECT),
    clear: (origin, digest) => {
      if (has(origin, digest)) memo.set(MEMO, `${origin} ${digest}`, WRITTEN);
    },
  };
}
