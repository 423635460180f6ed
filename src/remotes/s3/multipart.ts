import { createHash } from 'node:crypto';
import { err, failure, ok, type Result } from '../../base/index.ts';
import { concurrently } from '../concurrently.ts';
import type { Bucket } from './bucket.ts';

/** Bytes of a part; smaller blobs are sent with one request. S3 takes at least 5 MiB (multipart upload limits). */
export const PART_BYTES = 8 * 2 ** 20;
/** S3 takes no more parts in one object. */
const MAX_PARTS = 10_000;
/** Uploads that nobody ended for so long are given up: their writer has died. */
const DANGLING_MS = 24 * 3_600_000;

/** An object's bytes, read part by part. */
export interface PartSource {
  readonly size: number;
  read(start: number, end: number): Promise<Uint8Array>;
}

/** Sends a large object in parts; parts of an upload that broke off and have the right bytes are not sent again. */
export async function uploadParts(
  bucket: Bucket,
  key: string,
  source: PartSource,
  options: {
    readonly signal: AbortSignal;
    readonly parallel: number;
    readonly progress?: (done: number) => void;
    readonly partBytes?: number;
  },
): Promise<Result<void>> {
  const { signal } = options;
  const size = Math.max(options.partBytes ?? PART_BYTES, Math.ceil(source.size / MAX_PARTS));
  const open = await openUpload(bucket, key, signal);
  if (!open.ok) return open;
  const { id, parts: there } = open.value;
  let done = 0;
  const numbers = Array.from({ length: Math.ceil(source.size / size) }, (_, i) => i + 1);
  const sent = await concurrently(
    numbers,
    signal,
    async (number, bounded) => {
      const bytes = await source.read((number - 1) * size, Math.min(source.size, number * size));
      const tag = `"${createHash('md5').update(bytes).digest('hex')}"`;
      const known = there.get(number);
      const part =
        known?.tag === tag && known.size === bytes.length
          ? ok({ ETag: tag, PartNumber: number })
          : await sendPart(bucket, { key, id, number }, bytes, bounded);
      done += bytes.length;
      options.progress?.(done);
      return part;
    },
    options.parallel,
  );
  // What arrived stays: the next export goes on with it.
  if (!sent.ok) return sent;
  const ended = await bucket.ask('CompleteMultipartUpload', signal, (client, sdk, request) =>
    client.send(
      new sdk.CompleteMultipartUploadCommand({
        Bucket: bucket.name,
        Key: key,
        UploadId: id,
        MultipartUpload: { Parts: [...sent.value] },
      }),
      request,
    ),
  );
  if (ended.ok) return ok(undefined);
  // Another machine that sent the same blob has ended the upload.
  if (ended.error.code === 'RC010' && (await sizeOf(bucket, key, signal)) === source.size)
    return ok(undefined);
  return ended;
}

async function sendPart(
  bucket: Bucket,
  at: { readonly key: string; readonly id: string; readonly number: number },
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Result<{ readonly ETag: string; readonly PartNumber: number }>> {
  const { key, id, number } = at;
  const sent = await bucket.ask('UploadPart', signal, (client, sdk, request) =>
    client.send(
      new sdk.UploadPartCommand({
        ...{ Bucket: bucket.name, Key: key, UploadId: id, PartNumber: number },
        Body: bytes,
        ContentLength: bytes.length,
      }),
      request,
    ),
  );
  if (!sent.ok) return sent;
  const { ETag } = sent.value;
  return ETag === undefined
    ? err(failure('RC012', 3, `UploadPart: the bucket ${bucket.name} names no part`))
    : ok({ ETag, PartNumber: number });
}

interface OpenUpload {
  readonly id: string;
  readonly parts: ReadonlyMap<number, { readonly tag: string; readonly size: number }>;
}

/** The newest upload of the key that is open, else a new one. Servers that cannot list uploads have none. */
async function openUpload(
  bucket: Bucket,
  key: string,
  signal: AbortSignal,
): Promise<Result<OpenUpload>> {
  const listed = await uploadsBelow(bucket, key, signal);
  const known = listed.filter((u) => u.key === key).sort((a, b) => b.started - a.started)[0];
  if (known !== undefined) {
    const parts = await bucket.ask('ListParts', signal, (client, sdk, request) =>
      client.send(
        new sdk.ListPartsCommand({ Bucket: bucket.name, Key: key, UploadId: known.id }),
        request,
      ),
    );
    if (parts.ok) {
      const rows = (parts.value.Parts ?? []).map(
        ({ PartNumber = 0, ETag = '', Size = 0 }) =>
          [PartNumber, { tag: ETag, size: Size }] as const,
      );
      return ok({ id: known.id, parts: new Map(rows) });
    }
  }
  const made = await bucket.ask('CreateMultipartUpload', signal, (client, sdk, request) =>
    client.send(new sdk.CreateMultipartUploadCommand({ Bucket: bucket.name, Key: key }), request),
  );
  if (!made.ok) return made;
  const { UploadId: id } = made.value;
  return id === undefined
    ? err(failure('RC012', 3, `CreateMultipartUpload: the bucket ${bucket.name} names no upload`))
    : ok({ id, parts: new Map() });
}

async function uploadsBelow(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly { readonly key: string; readonly id: string; readonly started: number }[]> {
  const listed = await bucket.ask('ListMultipartUploads', signal, (client, sdk, request) =>
    client.send(
      new sdk.ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: prefix }),
      request,
    ),
  );
  if (!listed.ok) return [];
  return (listed.value.Uploads ?? []).flatMap(({ Key: key, UploadId: id, Initiated: at }) =>
    key === undefined || id === undefined ? [] : [{ key, id, started: at?.getTime() ?? 0 }],
  );
}

/** Gives up uploads below a prefix that were begun long ago; what they hold is paid for and can be seen by nobody. */
export async function abortDangling(
  bucket: Bucket,
  prefix: string,
  at: { readonly now: number; readonly signal: AbortSignal },
): Promise<number> {
  const old = (await uploadsBelow(bucket, prefix, at.signal)).filter(
    (u) => u.started > 0 && at.now - u.started > DANGLING_MS,
  );
  for (const { key, id } of old)
    await bucket.ask('AbortMultipartUpload', at.signal, (client, sdk, request) =>
      client.send(
        new sdk.AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId: id }),
        request,
      ),
    );
  return old.length;
}

async function sizeOf(
  bucket: Bucket,
  key: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const head = await bucket.ask('HeadObject', signal, (client, sdk, request) =>
    client.send(new sdk.HeadObjectCommand({ Bucket: bucket.name, Key: key }), request),
  );
  return head.ok ? head.value.ContentLength : undefined;
}
