import { isAbsolute, join } from 'node:path';
import { ok, parseDigest, type Result } from '../../base/index.ts';
import type { CachePlace, CacheTarget } from '../../build/index.ts';
import { type Compression, normaliseReference } from '../../oci/index.ts';
import { csvFields, csvMap, usage } from './csv.ts';

const KNOWN = 'known types: local, registry, inline';
const COMPRESSIONS: readonly Compression[] = ['uncompressed', 'gzip', 'zstd'];
const TO_KEYS = [
  ...['type', 'dest', 'tag', 'ref', 'mode', 'compression', 'compression-level'],
  ...['force-compression', 'ignore-error', 'image-manifest', 'oci-mediatypes'],
];

/** `type=local,src=DIR`, `type=registry,ref=NAME`, or names of images and caches (Docker's `--cache-from`). */
export function cacheFromFlag(text: string, cwd: string): Result<readonly CachePlace[]> {
  const flag = '--cache-from';
  const fields = csvFields(text);
  if (fields.ok && fields.value.every((field) => !field.includes('='))) {
    const places: CachePlace[] = [];
    for (const ref of fields.value) {
      const place = registryPlace(flag, text, ref);
      if (!place.ok) return place;
      places.push(place.value);
    }
    return ok(places);
  }
  const map = csvMap(flag, text, { keys: ['type', 'src', 'tag', 'digest', 'ref'] });
  if (!map.ok) return map;
  const type = map.value.get('type');
  if (type === 'registry') {
    const place = registryPlace(flag, text, map.value.get('ref'));
    return place.ok ? ok([place.value]) : place;
  }
  if (type !== 'local') return unknownType(flag, text, type, 'known types: local, registry');
  const src = map.value.get('src') ?? '';
  if (src === '') return usage(flag, text, 'type=local needs src', 'write type=local,src=DIR');
  const given = map.value.get('digest');
  const digest = given === undefined ? undefined : parseDigest(given);
  if (given !== undefined && digest === undefined)
    return usage(flag, text, `"${given}" is no sha256 digest`);
  return ok([
    {
      kind: 'local',
      dir: absolute(cwd, src),
      tag: map.value.get('tag') ?? 'latest',
      ...(digest === undefined ? {} : { digest }),
    },
  ]);
}

/** `type=local,dest=DIR`, `type=registry,ref=NAME`, `type=inline`, or a name (Docker's `--cache-to`). */
export function cacheToFlag(text: string, cwd: string): Result<CacheTarget> {
  const flag = '--cache-to';
  const bare = !text.includes('=');
  const map = bare
    ? ok(
        new Map([
          ['type', 'registry'],
          ['ref', text],
        ]),
      )
    : csvMap(flag, text, { keys: TO_KEYS });
  if (!map.ok) return map;
  const place = targetPlace(flag, text, map.value, cwd);
  if (!place.ok) return place;
  const mode = map.value.get('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max')
    return usage(flag, text, `unknown mode "${mode}"`, 'known modes: min, max');
  const named = map.value.get('compression') ?? 'gzip';
  const compression = COMPRESSIONS.find((c) => c === named);
  if (compression === undefined)
    return usage(flag, text, `unknown compression "${named}"`, `known: ${COMPRESSIONS.join(', ')}`);
  const level = map.value.get('compression-level');
  if (level !== undefined && !/^\d{1,2}$/.test(level))
    return usage(flag, text, `compression-level "${level}" is not a number`);
  for (const key of ['image-manifest', 'oci-mediatypes'])
    if ((map.value.get(key) ?? 'true') !== 'true')
      return usage(flag, text, `${key}=false is not supported`, 'leave it out');
  return ok({
    ...{ place: place.value, mode, compression },
    ...(level === undefined ? {} : { level: Number(level) }),
    force: map.value.get('force-compression') === 'true',
    ignoreError: map.value.get('ignore-error') === 'true',
  });
}

function targetPlace(
  flag: string,
  text: string,
  map: ReadonlyMap<string, string>,
  cwd: string,
): Result<CacheTarget['place']> {
  const type = map.get('type');
  if (type === 'inline') return ok({ kind: 'inline' });
  if (type === 'registry') return registryPlace(flag, text, map.get('ref'));
  if (type !== 'local') return unknownType(flag, text, type, KNOWN);
  const dest = map.get('dest') ?? '';
  if (dest === '') return usage(flag, text, 'type=local needs dest', 'write type=local,dest=DIR');
  return ok({ kind: 'local', dir: absolute(cwd, dest), tag: map.get('tag') ?? 'latest' });
}

function registryPlace(flag: string, text: string, ref: string | undefined): Result<CachePlace> {
  if (ref === undefined || ref === '')
    return usage(flag, text, 'type=registry needs ref', 'write type=registry,ref=NAME');
  const name = normaliseReference(ref);
  if (name.ok) return ok({ kind: 'registry', ref: name.value });
  return usage(flag, text, `"${ref}" is not an image name`, 'write [registry/]name[:tag]');
}

function unknownType(
  flag: string,
  text: string,
  type: string | undefined,
  help: string,
): Result<never> {
  return usage(flag, text, type === undefined ? 'type is missing' : `unknown type "${type}"`, help);
}

const absolute = (cwd: string, path: string): string => (isAbsolute(path) ? path : join(cwd, path));
