import type { Secret } from '../../base/index.ts';

/** A cache in a bucket. */
export interface S3Place {
  readonly kind: 's3';
  /** Absent where neither the flag nor the environment names them. */
  readonly bucket?: string;
  readonly region?: string;
  /** Names of the manifests: all are written, the first is read. */
  readonly names: readonly string[];
  readonly prefix: string;
  readonly blobsPrefix: string;
  readonly manifestsPrefix: string;
  readonly endpoint?: string;
  readonly pathStyle: boolean;
  /** Absent: those of the environment, a profile, a role or the machine. */
  readonly credentials?: S3Credentials;
  /** Requests that send data at once. */
  readonly parallel: number;
  /** Blobs that nobody wrote for so long are written anew by a copy, for rules that remove old objects. */
  readonly touchRefreshMs: number;
  readonly attempts: number;
}

/** Keys that are given, not found. */
export interface S3Credentials {
  readonly accessKeyId: Secret;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret;
}

/** Where blobs of a bucket can be had, as a layer's origin says it: everything but the credentials. */
export function s3Origin(place: S3Place): string {
  const url = new URL(`s3://${place.bucket ?? ''}/`);
  url.searchParams.set('blobs', `${place.prefix}${place.blobsPrefix}`);
  if (place.region !== undefined) url.searchParams.set('region', place.region);
  if (place.endpoint !== undefined) url.searchParams.set('endpoint', place.endpoint);
  if (place.pathStyle) url.searchParams.set('path-style', 'true');
  return url.href;
}

/** The place an origin tells of; credentials are those of the surroundings. */
export function placeOfOrigin(origin: string): S3Place | undefined {
  if (!origin.startsWith('s3://') || !URL.canParse(origin)) return undefined;
  const { host, searchParams } = new URL(origin);
  const [region, endpoint] = [searchParams.get('region'), searchParams.get('endpoint')];
  return {
    kind: 's3',
    bucket: host,
    names: [],
    prefix: '',
    blobsPrefix: searchParams.get('blobs') ?? '',
    manifestsPrefix: '',
    pathStyle: searchParams.get('path-style') === 'true',
    parallel: 4,
    touchRefreshMs: 0,
    attempts: 5,
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
  };
}
