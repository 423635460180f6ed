import { type Digest, err, failure, ok, type Result, soundBlob } from '../../base/index.ts';
import { downloadInto, type RetryPolicy } from '../../http/index.ts';
import type { Descriptor } from '../../oci/index.ts';
import type { CacheRemote, Clock, ContentStore, TransferProgress } from '../../ports/index.ts';
import type { SuspectBlobs } from '../suspect-blobs.ts';
import { Bucket, type BucketDeps } from './bucket.ts';
import { abortDangling, PART_BYTES, uploadParts } from './multipart.ts';
import { type S3Place, s3Origin } from './place.ts';
import { touch } from './touch.ts';

/** A manifest is read up to here. */
const MAX_MANIFEST_BYTES = 16 * 2 ** 20;

/** What a cache in a bucket works with. */
export interface S3Deps extends BucketDeps {
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly partBytes?: number;
  readonly suspects?: SuspectBlobs;
}

/** A cache in a bucket, in BuildKit's layout (cache/remotecache/s3). */
export function createS3Remote(deps: S3Deps, place: S3Place): CacheRemote {
  const bucket = new Bucket(deps, place);
  const names = place.names;
  const keyOf = (name: string): string => `${place.prefix}${place.manifestsPrefix}${name}`;
  return {
    name: `s3:${bucket.name}/${keyOf(names[0] ?? '')}`,
    origin: s3Origin(place),
    form: 'config',
    manifest: ({ signal }) => readObject(bucket, keyOf(names[0] ?? ''), MAX_MANIFEST_BYTES, signal),
    read: async (blob, { signal, maxBytes }) => {
      const pulled = await pullS3(deps, bucket, place, blob, { signal });
      return pulled.ok ? await deps.content.read(blob.digest, { maxBytes }) : pulled;
    },
    mayHave: () => Promise.resolve(true),
    write: (blob, options) => writeBlob(deps, bucket, place, blob, options),
    publish: async (document, _mediaType, { signal }) => {
      for (const name of names) {
        const written = await putObject(bucket, keyOf(name), document, signal);
        if (!written.ok) return written;
      }
      const prefix = `${place.prefix}${place.blobsPrefix}`;
      await abortDangling(bucket, prefix, { now: deps.clock.now(), signal });
      return ok(undefined);
    },
    named: (further) =>
      createS3Remote(deps, { ...place, names: names.map((name) => `${name}.${further}`) }),
  };
}

/** Downloads a blob of a bucket into the content store. */
export async function pullS3(
  deps: S3Deps,
  bucket: Bucket,
  place: S3Place,
  blob: Descriptor,
  options: { readonly signal: AbortSignal; readonly progress?: TransferProgress },
): Promise<Result<void>> {
  const { signal } = options;
  const key = blobKey(place, blob.digest);
  const what = `blob ${blob.digest} in the bucket ${bucket.name}`;
  return await downloadInto(deps.content, blob, {
    ...options,
    retry: { ...deps.retry, tries: Math.min(deps.retry.tries, place.attempts) },
    damaged: (why) => failure('RC013', 3, `${what} is damaged: ${why.message}`),
    gaveUp: (last) => failure('RC012', 3, `${what}: ${last.message}`, { cause: last.cause }),
    open: async (start) => {
      const got = await bucket.once('GetObject', signal, (client, sdk, request) =>
        client.send(
          new sdk.GetObjectCommand({
            ...{ Bucket: bucket.name, Key: key },
            ...(start > 0 ? { Range: `bytes=${start}-` } : {}),
          }),
          request,
        ),
      );
      if (!got.ok) return got;
      const { Body, ContentRange = '' } = got.value;
      if (start > 0 && !ContentRange.startsWith(`bytes ${start}-`))
        return err(failure('RC012', 3, `${what}: another range is served than was asked for`));
      return ok(bytesOf(Body));
    },
  });
}

/** The library's body is the stream that the handler gave it. */
function bytesOf(body: unknown): AsyncIterable<Uint8Array> {
  return body as AsyncIterable<Uint8Array>;
}

const blobKey = (place: S3Place, digest: Digest): string =>
  `${place.prefix}${place.blobsPrefix}${digest}`;

async function writeBlob(
  deps: S3Deps,
  bucket: Bucket,
  place: S3Place,
  blob: Descriptor,
  options: Parameters<CacheRemote['write']>[1],
): Promise<Result<'written' | 'exists'>> {
  const { signal, obtain, progress } = options;
  const { content, clock } = deps;
  const key = blobKey(place, blob.digest);
  const head = await bucket.ask('HeadObject', signal, (client, sdk, request) =>
    client.send(new sdk.HeadObjectCommand({ Bucket: bucket.name, Key: key }), request),
  );
  if (!head.ok && head.error.code !== 'RC010') return head;
  const doubted = deps.suspects?.has(s3Origin(place), blob.digest) === true;
  // Of another size it is damaged, and is written anew.
  if (head.ok && head.value.ContentLength === blob.size && !doubted) {
    const now = clock.now();
    const age = now - (head.value.LastModified?.getTime() ?? now);
    if (age <= place.touchRefreshMs) return ok('exists');
    const touched = await touch(bucket, { key, size: blob.size }, { now, signal });
    if (touched.ok) return ok('exists');
    if (touched.error.code !== 'RC010') return touched;
  }
  if ((await content.size(blob.digest)) !== blob.size) {
    const ready = await obtain();
    if (!ready.ok) return ready;
  }
  const sound = await soundBlob(content, blob.digest, { signal });
  if (!sound.ok) return sound;
  const read = (start: number, end: number): Promise<Uint8Array> =>
    readPart(content.stream(blob.digest, { signal, start }), end - start);
  const written =
    blob.size <= (deps.partBytes ?? PART_BYTES)
      ? await putObject(bucket, key, await read(0, blob.size), signal)
      : await uploadParts(
          bucket,
          key,
          { size: blob.size, read },
          {
            signal,
            parallel: place.parallel,
            progress: (done) => progress?.(done, blob.size),
            ...(deps.partBytes === undefined ? {} : { partBytes: deps.partBytes }),
          },
        );
  if (!written.ok) return written;
  deps.suspects?.clear(s3Origin(place), blob.digest);
  return ok('written');
}

async function putObject(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Result<void>> {
  const put = await bucket.ask('PutObject', signal, (client, sdk, request) =>
    client.send(
      new sdk.PutObjectCommand({
        ...{ Bucket: bucket.name, Key: key },
        Body: bytes,
        ContentLength: bytes.length,
      }),
      request,
    ),
  );
  if (!put.ok) return put;
  // Anything may answer 200; a bucket says what it has now (PutObject, "Response Syntax").
  return put.value.ETag === undefined
    ? err(failure('RC012', 3, `${key} in the bucket ${bucket.name}: the answer is none of S3`))
    : ok(undefined);
}

async function readObject(
  bucket: Bucket,
  key: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Result<Uint8Array>> {
  const read = await bucket.ask('GetObject', signal, async (client, sdk, request) => {
    const { Body, ContentLength = 0 } = await client.send(
      new sdk.GetObjectCommand({ Bucket: bucket.name, Key: key }),
      request,
    );
    return await readPart(bytesOf(Body), Math.min(maxBytes, ContentLength) + 1);
  });
  if (!read.ok) return read;
  return read.value.length <= maxBytes
    ? read
    : err(failure('RC004', 3, `${key} has more than ${maxBytes} bytes`));
}

async function readPart(data: AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let left = length;
  for await (const chunk of data) {
    const part = chunk.subarray(0, left);
    parts.push(part);
    left -= part.length;
    if (left === 0) break;
  }
  return Buffer.concat(parts);
}
