import { ok, type Result } from '../base/index.ts';
import type { CacheRemote } from '../ports/index.ts';
import {
  createDirectoryRemote,
  createRegistryRemote,
  createSharedDirectory,
  DIRECTORY_RULES,
  suspectBlobs,
} from '../remotes/index.ts';
import type { BuildDeps } from './deps.ts';
import type { CachePlace } from './request.ts';

/** Opens the place where a cache is kept; nothing is asked of it yet. */
export function openCacheRemote(
  deps: Pick<BuildDeps, 'content' | 'registry' | 'openLayout' | 'origins' | 'memo'>,
  place: CachePlace,
): Result<CacheRemote> {
  if (place.kind === 'registry') return createRegistryRemote(deps, place.ref);
  const suspects = suspectBlobs(deps.memo);
  if (place.kind === 'dir') {
    const rules = { ...DIRECTORY_RULES, ...place.rules };
    const layout = deps.openLayout(place.dir);
    return ok(createSharedDirectory({ content: deps.content, layout, rules, suspects }, place));
  }
  if (place.kind !== 'local') return ok(deps.origins.open(place));
  const layout = deps.openLayout(place.dir);
  return ok(createDirectoryRemote({ content: deps.content, layout, suspects }, place));
}
