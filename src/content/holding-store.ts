import { sha256 } from '../base/index.ts';
import type { ContentStore, Lease } from '../ports/index.ts';

/**
 * A content store whose writes are held: a blob is leased before it is written or found to be there, so that nobody can
 * remove it before something names it.
 */
export function holdingStore(content: ContentStore, lease: Lease): ContentStore {
  return {
    root: content.root,
    path: (digest) => content.path(digest),
    size: (digest) => content.size(digest),
    read: (digest, options) => content.read(digest, options),
    stream: (digest, options) => content.stream(digest, options),
    partial: (key) => content.partial(key),
    remove: (digest) => content.remove(digest),
    quarantine: (digest, why) => content.quarantine(digest, why),
    list: () => content.list(),
    put: (bytes) => {
      lease.add(`blob:${sha256(bytes)}`);
      return content.put(bytes);
    },
    ingest: async (data, options) => {
      if (options.digest !== undefined) lease.add(`blob:${options.digest}`);
      const written = await content.ingest(data, options);
      if (written.ok) lease.add(`blob:${written.value.digest}`);
      return written;
    },
  };
}
