import { ok, type Result, Secret } from '../../base/index.ts';
import { parseDuration } from '../../dockerfile/index.ts';
import type { S3Credentials, S3Place } from '../../remotes/index.ts';
import { type CacheSpec, type CacheType, flagValue } from './cache-type.ts';

const KEYS = [
  ...['bucket', 'region', 'name', 'prefix', 'blobs_prefix', 'manifests_prefix', 'endpoint_url'],
  ...['use_path_style', 'access_key_id', 'secret_access_key', 'session_token', 'retry_mode'],
  ...['upload_parallelism', 'touch_refresh', 'retry_max_attempts', 'disable_accept_encoding'],
];
const ATTEMPTS = 5;

/** `type=s3`: settings and defaults are BuildKit's (cache/remotecache/s3). Of several names to read, each is read. */
export const s3Cache: CacheType = {
  fromKeys: KEYS,
  toKeys: KEYS,
  from: (spec) => {
    const place = s3Place(spec);
    if (!place.ok) return place;
    return ok(place.value.names.map((name) => ({ ...place.value, names: [name] })));
  },
  to: (spec) => s3Place(spec),
};

function s3Place(spec: CacheSpec): Result<S3Place> {
  const { map, io, refuse } = spec;
  const pathStyle = flagValue(spec, 'use_path_style', false);
  if (!pathStyle.ok) return pathStyle;
  const parallel = count(spec, 'upload_parallelism', 4);
  if (!parallel.ok) return parallel;
  const attempts = count(spec, 'retry_max_attempts', ATTEMPTS);
  if (!attempts.ok) return attempts;
  const touch = parseDuration(map.get('touch_refresh') ?? '24h');
  if (!touch.ok) return refuse('touch_refresh is no duration', 'write touch_refresh=24h');
  const endpoint = map.get('endpoint_url');
  if (endpoint !== undefined && !(/^https?:/.test(endpoint) && URL.canParse(endpoint)))
    return refuse('endpoint_url is no address of http or https');
  const credentials = credentialsOf(spec);
  if (!credentials.ok) return credentials;
  const bucket = map.get('bucket') ?? io.env['AWS_BUCKET'];
  const region = map.get('region') ?? io.env['AWS_REGION'];
  return ok({
    kind: 's3',
    names: (map.get('name') ?? 'buildkit').split(';').filter((name) => name !== ''),
    prefix: map.get('prefix') ?? '',
    blobsPrefix: map.get('blobs_prefix') ?? 'blobs/',
    manifestsPrefix: map.get('manifests_prefix') ?? 'manifests/',
    pathStyle: pathStyle.value,
    parallel: parallel.value,
    attempts: attempts.value,
    touchRefreshMs: Number(touch.value / 1_000_000n),
    ...(bucket === undefined ? {} : { bucket }),
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials.value === undefined ? {} : { credentials: credentials.value }),
  });
}

function credentialsOf({ map, refuse }: CacheSpec): Result<S3Credentials | undefined> {
  const [id, key] = [map.get('access_key_id'), map.get('secret_access_key')];
  const token = map.get('session_token');
  if (id === undefined && key === undefined) return ok(undefined);
  if (id === undefined || key === undefined)
    return refuse('access_key_id and secret_access_key belong together');
  return ok({
    accessKeyId: new Secret(id),
    secretAccessKey: new Secret(key),
    ...(token === undefined ? {} : { sessionToken: new Secret(token) }),
  });
}

function count({ map, refuse }: CacheSpec, key: string, otherwise: number): Result<number> {
  const text = map.get(key);
  if (text === undefined) return ok(otherwise);
  return /^[1-9][0-9]{0,3}$/.test(text)
    ? ok(Number(text))
    : refuse(`${key} must be a positive integer`);
}
