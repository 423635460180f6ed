import { ok, type Result } from '../../base/index.ts';
import type { Bucket } from './bucket.ts';

/** One copy takes no more (CopyObject). */
const MAX_COPY_BYTES = 5 * 2 ** 30;

/** Makes an object new by copying it onto itself, so that rules of the bucket which remove old objects spare it. */
export async function touch(
  bucket: Bucket,
  object: { readonly key: string; readonly size: number },
  at: { readonly now: number; readonly signal: AbortSignal },
): Promise<Result<void>> {
  const { key, size } = object;
  const { signal } = at;
  const from = {
    Bucket: bucket.name,
    Key: key,
    CopySource: encodeURI(`${bucket.name}/${key}`),
  };
  if (size < MAX_COPY_BYTES) {
    const copied = await bucket.ask('CopyObject', signal, (client, sdk, request) =>
      client.send(
        new sdk.CopyObjectCommand({
          ...from,
          Metadata: { 'updated-at': new Date(at.now).toISOString() },
          MetadataDirective: 'REPLACE',
        }),
        request,
      ),
    );
    return copied.ok ? ok(undefined) : copied;
  }
  const made = await bucket.ask('CreateMultipartUpload', signal, (client, sdk, request) =>
    client.send(new sdk.CreateMultipartUploadCommand({ Bucket: bucket.name, Key: key }), request),
  );
  if (!made.ok) return made;
  const { UploadId } = made.value;
  const parts: { ETag: string; PartNumber: number }[] = [];
  for (let start = 0; start < size; start += MAX_COPY_BYTES) {
    const end = Math.min(size, start + MAX_COPY_BYTES);
    const PartNumber = parts.length + 1;
    const range = { CopySourceRange: `bytes=${start}-${end - 1}` };
    const copied = await bucket.ask('UploadPartCopy', signal, (client, sdk, request) =>
      client.send(
        new sdk.UploadPartCopyCommand({ ...from, ...range, UploadId, PartNumber }),
        request,
      ),
    );
    if (!copied.ok) return copied;
    parts.push({ ETag: copied.value.CopyPartResult?.ETag ?? '', PartNumber });
  }
  const ended = await bucket.ask('CompleteMultipartUpload', signal, (client, sdk, request) =>
    client.send(
      new sdk.CompleteMultipartUploadCommand({
        ...{ Bucket: bucket.name, Key: key, UploadId },
        MultipartUpload: { Parts: parts },
      }),
      request,
    ),
  );
  return ended.ok ? ok(undefined) : ended;
}
