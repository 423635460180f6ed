import { ok, type Result } from '../../base/index.ts';
import type { CacheSign, CacheTrust } from '../../build/index.ts';
import { listOf } from './cache-scope.ts';
import { absolutePath, type CacheSpec, flagValue } from './cache-type.ts';

/** Days for which a signature holds. */
const DAYS = 30;
const DAY_MS = 86_400_000;

/** `require-signature=FILE[=SCOPE|SCOPE][;…],strict=true` of a `--cache-from`. */
export function cacheTrust(spec: CacheSpec): Result<CacheTrust | undefined> {
  const { map, io, refuse } = spec;
  const strict = flagValue(spec, 'strict', false);
  if (!strict.ok) return strict;
  const given = map.get('require-signature');
  if (given === undefined)
    return strict.value ? refuse('strict=true needs require-signature') : ok(undefined);
  const keys = listOf(given).map((text) => {
    const [file = '', scopes] = text.split('=', 2);
    const path = absolutePath(io, file);
    return scopes === undefined ? { file: path } : { file: path, scopes: scopes.split('|') };
  });
  if (keys.length === 0)
    return refuse('require-signature is empty', 'write require-signature=PUBLIC-KEY-FILE');
  return ok({ keys, strict: strict.value });
}

/** `sign-key=FILE,sign-days=N` of a `--cache-to`. */
export function cacheSign(spec: CacheSpec): Result<CacheSign | undefined> {
  const { map, io, refuse } = spec;
  const days = map.get('sign-days') ?? String(DAYS);
  const file = map.get('sign-key');
  if (!/^[1-9]\d{0,3}$/.test(days)) return refuse(`sign-days "${days}" is no number of days`);
  if (file === undefined)
    return map.has('sign-days') ? refuse('sign-days needs sign-key') : ok(undefined);
  if (file === '') return refuse('sign-key is empty', 'write sign-key=PRIVATE-KEY-FILE');
  return ok({ keyFile: absolutePath(io, file), validMs: Number(days) * DAY_MS });
}
