import { ok, type Result } from '../../base/index.ts';
import type { CachePlace } from '../../build/index.ts';
import { absolutePath, type CacheSpec, type CacheType } from './cache-type.ts';

const DEFAULT_SCOPE = 'main';
const DAY_MS = 86_400_000;

/** `type=dir,path=DIR[,scope=NAME]`: a directory that many hosts write. */
export const dirCache: CacheType = {
  fromKeys: ['path'],
  toKeys: ['path', 'keep-days', 'keep-exports'],
  from: (spec) => {
    const place = dirPlace(spec, {});
    return place.ok ? ok([place.value]) : place;
  },
  to: (spec) => {
    const days = positive(spec, 'keep-days');
    if (!days.ok) return days;
    const exports = positive(spec, 'keep-exports');
    if (!exports.ok) return exports;
    return dirPlace(spec, {
      ...(days.value === undefined ? {} : { keepMs: days.value * DAY_MS }),
      ...(exports.value === undefined ? {} : { keepExports: exports.value }),
    });
  },
};

function dirPlace(
  { map, io, refuse }: CacheSpec,
  rules: { readonly keepMs?: number; readonly keepExports?: number },
): Result<CachePlace> {
  const path = map.get('path') ?? '';
  if (path === '') return refuse('type=dir needs path', 'write type=dir,path=DIR');
  const scope = map.get('scope') ?? DEFAULT_SCOPE;
  return ok({ kind: 'dir', dir: absolutePath(io, path), scope, rules });
}

function positive({ map, refuse }: CacheSpec, key: string): Result<number | undefined> {
  const text = map.get(key);
  if (text === undefined) return ok(undefined);
  return /^[1-9]\d{0,5}$/.test(text) ? ok(Number(text)) : refuse(`${key} "${text}" is no number`);
}
