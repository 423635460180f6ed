import { isAbsolute, join } from 'node:path';
import type { Result } from '../../base/index.ts';
import type { CachePlace, CacheTarget } from '../../build/index.ts';
import { usage } from './csv.ts';

/** What the parsers of cache flags see of the process. */
export interface CacheFlagIo {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One `--cache-from` or `--cache-to` with its settings. */
export interface CacheSpec {
  readonly map: ReadonlyMap<string, string>;
  readonly io: CacheFlagIo;
  /** A usage failure about this flag; its text shows no secret. */
  readonly refuse: (why: string, help?: string) => ReturnType<typeof usage>;
}

/** How caches of one type are named on the command line. */
export interface CacheType {
  /** Settings of `--cache-from`, besides `type`. */
  readonly fromKeys: readonly string[];
  /** Settings of `--cache-to`, besides those of every type. */
  readonly toKeys: readonly string[];
  /** Places to read from, the preferred one first; absent: nothing can be read from this type. */
  readonly from?: (spec: CacheSpec) => Result<readonly CachePlace[]>;
  readonly to: (spec: CacheSpec) => Result<CacheTarget['place']>;
}

/** A `CacheSpec` of a flag and its settings. */
export function cacheSpec(
  flag: string,
  text: string,
  map: ReadonlyMap<string, string>,
  io: CacheFlagIo,
): CacheSpec {
  const shown = withoutSecrets(text);
  return { map, io, refuse: (why, help) => usage(flag, shown, why, help) };
}

/** The text of a flag without the values that must be shown to nobody. */
export function withoutSecrets(text: string): string {
  return text.replace(
    /((?:token|access_key_id|secret_access_key)[ \t]*=)(?:[^,"]+|"(?:[^"]|"")*"?)/gi,
    '$1***',
  );
}

/** A path of the command line as an absolute one. */
export function absolutePath(io: CacheFlagIo, path: string): string {
  return isAbsolute(path) ? path : join(io.cwd, path);
}

/** A setting that is `true` or `false`, as Go's `strconv.ParseBool` reads it. */
export function flagValue(spec: CacheSpec, key: string, otherwise: boolean): Result<boolean> {
  const text = spec.map.get(key);
  if (text === undefined) return { ok: true, value: otherwise };
  if (/^(?:1|t|true)$/i.test(text)) return { ok: true, value: true };
  if (/^(?:0|f|false)$/i.test(text)) return { ok: true, value: false };
  return spec.refuse(`${key} is neither true nor false`);
}
