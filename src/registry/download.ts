import { err, failure, ok, type Result } from '../base/index.ts';
import { type HttpAnswer, type HttpRequest, TransientError, withRetries } from '../http/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { TransferProgress } from '../ports/index.ts';
import { type Client, partialKeyOf, pullScope } from './client.ts';
import { statusFailure } from './errors.ts';
import type { Endpoint } from './hosts.ts';

interface Options {
  readonly signal: AbortSignal;
  readonly progress?: TransferProgress;
}

/** An attempt that brought less than this has not moved: a server cannot keep a download alive byte by byte. */
const PROGRESS_BYTES = 65_536;

/** Downloads one blob from one endpoint into the store: what arrived before a failure is kept and asked for no more. */
export async function downloadBlob(
  client: Client,
  at: { readonly endpoint: Endpoint; readonly path: string },
  blob: Descriptor,
  options: Options,
): Promise<Result<void>> {
  let before = await client.content.partial(partialKeyOf(blob));
  return await withRetries(client.retry, options.signal, () => attempt(client, at, blob, options), {
    progressed: async () => {
      const now = await client.content.partial(partialKeyOf(blob));
      const moved = now - before >= PROGRESS_BYTES;
      before = now;
      return moved;
    },
  });
}

async function attempt(
  client: Client,
  at: { readonly endpoint: Endpoint; readonly path: string },
  blob: Descriptor,
  options: Options,
): Promise<Result<void>> {
  const { content } = client;
  const start = await content.partial(partialKeyOf(blob));
  const body =
    start >= blob.size ? ok(nothing()) : await open(client, at, blob, { ...options, start });
  if (!body.ok) return body;
  const written = await content.ingest(counted(body.value, start, blob.size, options.progress), {
    signal: options.signal,
    digest: blob.digest,
    size: blob.size,
    partialKey: partialKeyOf(blob),
  });
  if (written.ok) return ok(undefined);
  // Too short, too long, or grown by another process: what is kept by now decides what is asked for next.
  if (['ST011', 'ST015'].includes(written.error.code))
    throw new TransientError(written.error.message);
  if (written.error.code === 'ST010') {
    // Of a resumed download the kept part may have been the wrong one; it is gone now.
    if (start > 0) throw new TransientError(written.error.message);
    return err(
      failure(
        'RG006',
        3,
        `blob ${blob.digest} of ${at.endpoint.host}/${at.path}: ${written.error.message}`,
      ),
    );
  }
  return err(written.error);
}

async function open(
  client: Client,
  at: { readonly endpoint: Endpoint; readonly path: string },
  blob: Descriptor,
  options: { readonly signal: AbortSignal; readonly start: number },
): Promise<Result<AsyncIterable<Uint8Array>>> {
  const { endpoint, path } = at;
  const { start } = options;
  const request: HttpRequest = {
    method: 'GET',
    url: new URL(`/v2/${path}/blobs/${blob.digest}`, endpoint.base),
    headers: start > 0 ? { range: `bytes=${start}-` } : {},
    signal: options.signal,
  };
  const answer = await client.session.send(request, { endpoint, scopes: [pullScope(path)] });
  if (!answer.ok) return answer;
  const { status } = answer.value;
  if (status === 200) return ok(skipped(answer.value, start));
  if (status === 206 && rangeStart(answer.value) === start) return ok(answer.value.body);
  if (status === 206) {
    answer.value.drop();
    return err(
      failure(
        'RG004',
        3,
        `blob ${blob.digest}: the registry serves another range than was asked for`,
      ),
    );
  }
  return err(await statusFailure(request, answer.value, client.secrets));
}

function rangeStart(answer: HttpAnswer): number | undefined {
  const match = /^bytes ([0-9]+)-/.exec(answer.header('content-range') ?? '');
  return match === null ? undefined : Number(match[1]);
}

/** A server that knows no ranges sends everything: what is there already is passed over. */
async function* skipped(answer: HttpAnswer, start: number): AsyncGenerator<Uint8Array> {
  let left = start;
  for await (const chunk of answer.body) {
    if (left >= chunk.length) left -= chunk.length;
    else {
      yield left === 0 ? chunk : chunk.subarray(left);
      left = 0;
    }
  }
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  start: number,
  total: number,
  progress: TransferProgress | undefined,
): AsyncGenerator<Uint8Array> {
  let current = start;
  progress?.(current, total);
  for await (const chunk of body) {
    current += chunk.length;
    yield chunk;
    progress?.(current, total);
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // Everything has arrived; only its digest is missing.
}
