import { ok, parseDigest } from '../../base/index.ts';
import { absolutePath, type CacheType } from './cache-type.ts';

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
        tag: map.get('tag') ?? 'latest',
        ...(digest === undefined ? {} : { digest }),
      },
    ]);
  },
  to: ({ map, io, refuse }) => {
    const dest = map.get('dest') ?? '';
    if (dest === '') return refuse('type=local needs dest', 'write type=local,dest=DIR');
    return ok({ kind: 'local', dir: absolutePath(io, dest), tag: map.get('tag') ?? 'latest' });
  },
};
