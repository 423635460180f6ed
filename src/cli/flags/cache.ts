import { ok, type Result } from '../../base/index.ts';
import type { CacheSource, CacheTarget } from '../../build/index.ts';
import type { Compression } from '../../oci/index.ts';
import { ghaCache } from './cache-gha.ts';
import { localCache } from './cache-local.ts';
import { registryCache, registryPlace } from './cache-registry.ts';
import {
  type CacheFlagIo,
  type CacheSpec,
  type CacheType,
  cacheSpec,
  flagValue,
  withoutSecrets,
} from './cache-type.ts';
import { csvFields, csvMap, usage } from './csv.ts';

const TYPES: ReadonlyMap<string, CacheType> = new Map([
  ['local', localCache],
  ['registry', registryCache],
  ['gha', ghaCache],
  ['inline', { fromKeys: [], toKeys: [], to: () => ok({ kind: 'inline' as const }) }],
]);
const COMPRESSIONS: readonly Compression[] = ['uncompressed', 'gzip', 'zstd'];
/** Settings of every `--cache-to`. */
const TO_KEYS = [
  ...['mode', 'compression', 'compression-level', 'force-compression', 'ignore-error'],
  ...['image-manifest', 'oci-mediatypes', 'mounts'],
];
/** Settings of every `--cache-from`. */
const FROM_KEYS = ['mounts'];

/** `type=TYPE,…`, or names of images and caches (Docker's `--cache-from`). */
export function cacheFromFlag(text: string, io: CacheFlagIo): Result<readonly CacheSource[]> {
  const flag = '--cache-from';
  const fields = csvFields(text);
  if (fields.ok && fields.value.every((field) => !field.includes('='))) {
    const places: CacheSource[] = [];
    for (const ref of fields.value) {
      const place = registryPlace(cacheSpec(flag, text, new Map(), io), ref);
      if (!place.ok) return place;
      places.push(place.value);
    }
    return ok(places);
  }
  const found = typed(flag, text, io, {
    types: new Map([...TYPES].filter(([, type]) => type.from !== undefined)),
    keys: (type) => [...type.fromKeys, ...FROM_KEYS],
  });
  if (!found.ok) return found;
  const { type, spec } = found.value;
  const mounts = flagValue(spec, 'mounts', false);
  if (!mounts.ok) return mounts;
  const places = type.from?.(spec) ?? ok([]);
  return places.ok && mounts.value
    ? ok(places.value.map((place) => ({ ...place, mounts: true })))
    : places;
}

/** `type=TYPE,…`, or a name (Docker's `--cache-to`). */
export function cacheToFlag(text: string, io: CacheFlagIo): Result<CacheTarget> {
  const flag = '--cache-to';
  if (!text.includes('=')) {
    const spec = cacheSpec(flag, text, new Map(), io);
    const place = registryPlace(spec, text);
    return place.ok ? targetOf(spec, place.value) : place;
  }
  const found = typed(flag, text, io, {
    types: TYPES,
    keys: (type) => [...type.toKeys, ...TO_KEYS],
  });
  if (!found.ok) return found;
  const { type, spec } = found.value;
  const place = type.to(spec);
  if (!place.ok) return place;
  return targetOf(spec, place.value);
}

/** The type that a flag names, and its settings. */
function typed(
  flag: string,
  text: string,
  io: CacheFlagIo,
  options: {
    readonly types: ReadonlyMap<string, CacheType>;
    readonly keys: (type: CacheType) => readonly string[];
  },
): Result<{ readonly type: CacheType; readonly spec: CacheSpec }> {
  const any = csvMap(flag, text, { shown: withoutSecrets });
  if (!any.ok) return any;
  const name = any.value.get('type');
  const type = options.types.get(name ?? '');
  if (type === undefined) {
    const why = name === undefined ? 'type is missing' : `unknown type "${name}"`;
    const known = [...options.types.keys()].join(', ');
    return usage(flag, withoutSecrets(text), why, `known types: ${known}`);
  }
  const map = csvMap(flag, text, {
    keys: ['type', ...options.keys(type)],
    shown: withoutSecrets,
  });
  return map.ok ? ok({ type, spec: cacheSpec(flag, text, map.value, io) }) : map;
}

/** The settings of every `--cache-to`. */
function targetOf(spec: CacheSpec, place: CacheTarget['place']): Result<CacheTarget> {
  const { map, refuse } = spec;
  const mode = map.get('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max')
    return refuse(`unknown mode "${mode}"`, 'known modes: min, max');
  const named = map.get('compression') ?? 'gzip';
  const compression = COMPRESSIONS.find((c) => c === named);
  if (compression === undefined)
    return refuse(`unknown compression "${named}"`, `known: ${COMPRESSIONS.join(', ')}`);
  const level = map.get('compression-level');
  if (level !== undefined && !/^\d{1,2}$/.test(level))
    return refuse(`compression-level "${level}" is not a number`);
  for (const key of ['image-manifest', 'oci-mediatypes'])
    if ((map.get(key) ?? 'true') !== 'true')
      return refuse(`${key}=false is not supported`, 'leave it out');
  const mounts = flagValue(spec, 'mounts', false);
  if (!mounts.ok) return mounts;
  if (mounts.value && place.kind === 'inline')
    return refuse('an image cannot hold cache mounts', 'leave mounts=true out');
  return ok({
    ...{ place, mode, compression },
    ...(level === undefined ? {} : { level: Number(level) }),
    force: map.get('force-compression') === 'true',
    ignoreError: map.get('ignore-error') === 'true',
    ...(mounts.value ? { mounts: true } : {}),
  });
}
