import { type Digest, sha256 } from '../base/index.ts';
import type { ContentStore, Lease } from '../ports/index.ts';

/**
 * A content store whose blobs are held: one is leased before it is looked up, read or written. Trimming takes nothing that
 * is leased, and asks in the same transaction that no lease can be added in: what is found in place stays there. Look-ups
 * made at the same time are leased together.
 */
export function holdingStore(content: ContentStore, lease: Pick<Lease, 'add'>): ContentStore {
  const hold = new Holds(lease);
  return {
    root: content.root,
    path: (digest) => content.path(digest),
    size: async (digest) => {
      await hold.soon(digest);
      return await content.size(digest);
    },
    read: async (digest, options) => {
      await hold.soon(digest);
      return await content.read(digest, options);
    },
    stream: (digest, options) => content.stream(digest, options),
    partial: (key) => content.partial(key),
    remove: (digest) => content.remove(digest),
    quarantine: (digest, why) => content.quarantine(digest, why),
    list: () => content.list(),
    put: (bytes) => {
      hold.now(sha256(bytes));
      return content.put(bytes);
    },
    ingest: async (data, options) => {
      if (options.digest !== undefined) hold.now(options.digest);
      return await content.ingest(data, {
        ...options,
        onDigest: (digest) => {
          hold.now(digest);
          options.onDigest?.(digest);
        },
      });
    },
  };
}

class Holds {
  readonly #lease: Pick<Lease, 'add'>;
  readonly #held = new Set<Digest>();
  #wanted = new Set<Digest>();
  #next: Promise<void> | undefined;

  constructor(lease: Pick<Lease, 'add'>) {
    this.#lease = lease;
  }

  now(...digests: readonly Digest[]): void {
    const fresh = digests.filter((digest) => !this.#held.has(digest));
    if (fresh.length === 0) return;
    this.#lease.add(...fresh.map((digest) => `blob:${digest}`));
    for (const digest of fresh) this.#held.add(digest);
  }

  /** With all others that are wanted before the event loop turns. */
  async soon(digest: Digest): Promise<void> {
    if (this.#held.has(digest)) return;
    this.#wanted.add(digest);
    this.#next ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      const wanted = this.#wanted;
      this.#wanted = new Set();
      this.#next = undefined;
      this.now(...wanted);
    });
    await this.#next;
  }
}
