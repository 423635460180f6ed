import { ok, parseDigest } from '../../base/index.ts';
import { scopeTag } from '../../remotes/index.ts';
import { absolutePath, type CacheSpec, type CacheType } from './cache-type.ts';

/** `type=local,src=DIR` and `type=local,dest=DIR`. */
export const localCache: CacheType = {
  fromKeys: ['src', 'tag', 'digest'],
  toKeys: ['dest', 'tag'],
  from: ({ map, io, refuse }) => {
    const src = map.get('src') ?? '';
    if (src === '') return refuse('type=local needs src', 'write type=local,src=DIR');
    const given = map.get('digest');
    const digest = given === undefined ? undefined : parseDigest(given);
    if (given !== undefined && digest === undefined)
      return refuse(`"${given}" is no sha256 digest`);
    return ok([
      {
        kind: 'local',
        dir: absolutePath(io, src),
        tag: tagOf(map),
        ...(digest === undefined ? {} : { digest }),
      },
    ]);
  },
  to: ({ map, io, refuse }) => {
    const dest = map.get('dest') ?? '';
    if (dest === '') return refuse('type=local needs dest', 'write type=local,dest=DIR');
    return ok({ kind: 'local', dir: absolutePath(io, dest), tag: tagOf(map) });
  },
};

/** A scope is a tag of its own; behind the tag that was given, if any. */
function tagOf(map: CacheSpec['map']): string {
  const [tag, scope] = [map.get('tag'), map.get('scope')];
  if (scope === undefined) return tag ?? 'latest';
  return tag === undefined ? scopeTag(scope) : `${tag}-${scopeTag(scope)}`;
}
