import { randomBytes } from 'node:crypto';
import { err, failure, ok, type Result } from '../../base/index.ts';
import { type HttpClient, type RetryPolicy, withRetries } from '../../http/index.ts';
import type { Clock } from '../../ports/index.ts';
import { concurrently } from '../concurrently.ts';
import { gaveUp, refuseTransient } from './service.ts';

/** Bytes of one block; a blob that is no larger is sent with one request. */
const BLOCK_BYTES = 16 * 2 ** 20;
/** Azure takes no more blocks in one blob (Put Block List). */
const MAX_BLOCKS = 50_000;
/** Blocks of a blob that are sent at once. */
const PARALLEL = 4;
/** Version of the storage service's API that is spoken. */
const API_VERSION = '2020-10-02';

/** Bytes that can be read more than once. */
export interface Source {
  readonly size: number;
  read(start: number, end: number): AsyncIterable<Uint8Array> | Uint8Array;
}

/** What sending to a signed address needs. */
export interface BlockBlobDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly blockBytes?: number;
}

/** Writes a block blob under a signed address (Azure Blob Storage: Put Blob, or Put Block and Put Block List). */
export async function uploadBlockBlob(
  deps: BlockBlobDeps,
  url: URL,
  source: Source,
  options: { readonly signal: AbortSignal; readonly progress?: (sent: number) => void },
): Promise<Result<void>> {
  const step = Math.max(deps.blockBytes ?? BLOCK_BYTES, Math.ceil(source.size / MAX_BLOCKS));
  if (source.size <= step)
    return await put(deps, url, {
      what: 'Put Blob',
      headers: { 'x-ms-blob-type': 'BlockBlob', 'content-type': 'application/octet-stream' },
      size: source.size,
      body: () => source.read(0, source.size),
      signal: options.signal,
    });
  // Of equal length, as the service wants it; unlike those of another attempt at the same blob.
  const run = randomBytes(9).toString('hex');
  const count = Math.ceil(source.size / step);
  const ids = Array.from({ length: count }, (_, i) =>
    Buffer.from(`${run}-${String(i).padStart(6, '0')}`).toString('base64'),
  );
  let sent = 0;
  const blocks = await concurrently(
    ids,
    options.signal,
    async (id, signal) => {
      const start = ids.indexOf(id) * step;
      const end = Math.min(source.size, start + step);
      const done = await put(deps, withQuery(url, { comp: 'block', blockid: id }), {
        what: 'Put Block',
        headers: {},
        size: end - start,
        body: () => source.read(start, end),
        signal,
      });
      sent += end - start;
      options.progress?.(sent);
      return done;
    },
    PARALLEL,
  );
  if (!blocks.ok) return blocks;
  const list = Buffer.from(
    `<?xml version="1.0" encoding="utf-8"?><BlockList>${ids.map((id) => `<Latest>${id}</Latest>`).join('')}</BlockList>`,
  );
  return await put(deps, withQuery(url, { comp: 'blocklist' }), {
    what: 'Put Block List',
    headers: { 'content-type': 'application/xml' },
    size: list.length,
    body: () => list,
    signal: options.signal,
  });
}

async function put(
  deps: BlockBlobDeps,
  url: URL,
  request: {
    readonly what: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly size: number;
    readonly body: () => AsyncIterable<Uint8Array> | Uint8Array;
    readonly signal: AbortSignal;
  },
): Promise<Result<void>> {
  const { what, signal } = request;
  return await withRetries(
    deps.retry,
    signal,
    async () => {
      const answer = await deps.http.send(
        {
          method: 'PUT',
          url,
          headers: {
            ...request.headers,
            'content-length': String(request.size),
            'x-ms-version': API_VERSION,
          },
          body: request.body,
          signal,
        },
        { base: url, config: {} },
      );
      refuseTransient(answer, what, deps.clock);
      answer.drop();
      if (answer.status === 201) return ok(undefined);
      return err(
        failure('RC012', 3, `${what}: the storage of the cache service answers ${answer.status}`),
      );
    },
    { gaveUp: (last) => gaveUp(what, last) },
  );
}

/** The address with further parameters; what is signed stays as it is written. */
function withQuery(url: URL, more: Readonly<Record<string, string>>): URL {
  const text = Object.entries(more).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const out = new URL(url);
  out.search = [...(url.search === '' ? [] : [url.search.slice(1)]), ...text].join('&');
  return out;
}
