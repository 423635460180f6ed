import { ok, type Result } from '../../base/index.ts';
import type { CacheSource, CacheTarget } from '../../build/index.ts';
import type { Compression } from '../../oci/index.ts';
import { dirCache } from './cache-dir.ts';
import { ghaCache } from './cache-gha.ts';
import { localCache } from './cache-local.ts';
import { registryCache, registryPlace } from './cache-registry.ts';
import { s3Cache } from './cache-s3.ts';
import { scopesToRead, scopeToWrite } from './cache-scope.ts';
import { cacheSign, cacheTrust } from './cache-trust.ts';
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
  ['s3', s3Cache],
  ['dir', dirCache],
  ['inline', { fromKeys: [], toKeys: [], to: () => ok({ kind: 'inline' as const }) }],
]);
const COMPRESSIONS: readonly Compression[] = ['uncompressed', 'gzip', 'zstd'];
/** Settings of every `--cache-to`. */
const TO_KEYS = [
  ...['mode', 'compression', 'compression-level', 'force-compression', 'ignore-error'],
  ...['image-manifest', 'oci-mediatypes', 'mounts', 'scope', 'rights', 'sign-key', 'sign-days'],
  'decisions',
];
/** Settings of every `--cache-from`. */
const FROM_KEYS = ['mounts', 'scope', 'fallback', 'require-signature', 'strict'];

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
  const scopes = scopesToRead(spec);
  if (!scopes.ok) return scopes;
  const trust = cacheTrust(spec);
  if (!trust.ok) return trust;
  const sources: CacheSource[] = [];
  for (const scope of scopes.value ?? [undefined]) {
    const places = type.from?.(inScope(spec, scope)) ?? ok([]);
    if (!places.ok) return places;
    sources.push(
      ...places.value.map((place) => ({
        ...place,
        ...(mounts.value ? { mounts: true } : {}),
        ...(scope === undefined ? {} : { scope }),
        ...(trust.value === undefined ? {} : { trust: trust.value }),
      })),
    );
  }
  return ok(sources);
}

/** The settings of a flag as they are for one scope. */
function inScope(spec: CacheSpec, scope: string | undefined): CacheSpec {
  return scope === undefined ? spec : { ...spec, map: new Map([...spec.map, ['scope', scope]]) };
}

/** `type=TYPE,…`, or a name (Docker's `--cache-to`). */
export function cacheToFlag(text: string, io: CacheFlagIo): Result<CacheTarget> {
  const flag = '--cache-to';
  if (!text.includes('=')) {
    const spec = cacheSpec(flag, text, new Map(), io);
    const place = registryPlace(spec, text);
    return place.ok ? targetOf(spec, place.value, undefined) : place;
  }
  const found = typed(flag, text, io, {
    types: TYPES,
    keys: (type) => [...type.toKeys, ...TO_KEYS],
  });
  if (!found.ok) return found;
  const { type, spec } = found.value;
  const isInline = found.value.name === 'inline';
  if (isInline && spec.map.has('scope'))
    return spec.refuse('the cache inside an image has no scope', 'leave scope out');
  const scope = isInline ? ok(undefined) : scopeToWrite(spec);
  if (!scope.ok) return scope;
  const place = type.to(inScope(spec, scope.value));
  if (!place.ok) return place;
  return targetOf(spec, place.value, scope.value);
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
): Result<{ readonly name: string; readonly type: CacheType; readonly spec: CacheSpec }> {
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
  return map.ok ? ok({ name: name ?? '', type, spec: cacheSpec(flag, text, map.value, io) }) : map;
}

/** The settings of every `--cache-to`. */
function targetOf(
  spec: CacheSpec,
  place: CacheTarget['place'],
  scope: string | undefined,
): Result<CacheTarget> {
  const { map, refuse } = spec;
  const mode = map.get('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max')
    return refuse(`unknown mode "${mode}"`, 'known modes: min, max');
  const named = map.get('compression') ?? 'zstd';
  const compression = COMPRESSIONS.find((c) => c === named);
  if (compression === undefined)
    return refuse(`unknown compression "${named}"`, `known: ${COMPRESSIONS.join(', ')}`);
  const level = map.get('compression-level');
  if (level !== undefined && !/^\d{1,2}$/.test(level))
    return refuse(`compression-level "${level}" is not a number`);
  const carrier = carrierOf(spec);
  if (!carrier.ok) return carrier;
  const force = flagValue(spec, 'force-compression', false);
  if (!force.ok) return force;
  const ignoreError = flagValue(spec, 'ignore-error', false);
  if (!ignoreError.ok) return ignoreError;
  const sign = cacheSign(spec);
  if (!sign.ok) return sign;
  if (sign.value !== undefined && place.kind === 'inline')
    return refuse('the cache inside an image is not signed', 'leave sign-key out');
  const mounts = flagValue(spec, 'mounts', false);
  if (!mounts.ok) return mounts;
  if (mounts.value && place.kind === 'inline')
    return refuse('an image cannot hold cache mounts', 'leave mounts=true out');
  const decisions = flagValue(spec, 'decisions', true);
  if (!decisions.ok) return decisions;
  return ok({
    ...{ place, mode, compression },
    ...(level === undefined ? {} : { level: Number(level) }),
    force: force.value,
    ignoreError: ignoreError.value,
    ...carrier.value,
    ...(scope === undefined ? {} : { scope }),
    ...(sign.value === undefined ? {} : { sign: sign.value }),
    ...(mounts.value ? { mounts: true } : {}),
    ...(decisions.value ? {} : { decisions: false }),
  });
}

/** `image-manifest` and `oci-mediatypes`: an image manifest has OCI types only, so that Docker's types mean an index. */
function carrierOf(spec: CacheSpec): Result<Pick<CacheTarget, 'carrier'>> {
  const oci = flagValue(spec, 'oci-mediatypes', true);
  if (!oci.ok) return oci;
  const manifest = flagValue(spec, 'image-manifest', oci.value);
  if (!manifest.ok) return manifest;
  if (manifest.value && !oci.value)
    return spec.refuse('image-manifest=true needs oci-mediatypes=true');
  if (manifest.value) return ok({});
  return ok({ carrier: oci.value ? 'index' : 'docker-list' });
}
