import { type Digest, hexOf, sha256 } from '../../base/index.ts';

/** Version of the layout of keys (BuildKit cache/remotecache/gha). */
const VERSION = '1';

/** What the keys of all blobs begin with. */
export const BLOB_PREFIX = `buildkit-blob-${VERSION}-`;

/** Key of the entry that holds one blob. */
export const blobKey = (digest: Digest): string => `${BLOB_PREFIX}${digest}`;

/** Key of a cache's index, behind which `#` and a number follow: entries cannot be changed, the newest is the one that counts. */
export function indexKey(scope: string, branch: string): string {
  return `index-${scope}-${VERSION}-${hexOf(sha256(branch)).slice(0, 8)}`;
}

/** The same for caches with packs, which BuildKit must not find. */
export const packedIndexKey = (scope: string, branch: string): string =>
  `varve-${indexKey(scope, branch)}`;

/** Key of an entry that holds several blobs, named by its bytes. */
export const packKey = (digest: Digest): string => `varve-pack-1-${digest}`;
