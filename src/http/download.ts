import { type Digest, err, type Failure, hexOf, type Result } from '../base/index.ts';
import type { HttpAnswer } from './client.ts';
import { type RetryPolicy, withRetries } from './retry.ts';
import { TransientError } from './transient-error.ts';

/** The part of a content store that keeps downloads which broke off. */
export interface PartialStore {
  partial(partialKey: string): Promise<number>;
  ingest(
    data: AsyncIterable<Uint8Array>,
    options: {
      readonly signal: AbortSignal;
      readonly digest: Digest;
      readonly size: number;
      readonly partialKey: string;
    },
  ): Promise<Result<unknown>>;
}

/** How one blob is downloaded. */
export interface Download {
  readonly signal: AbortSignal;
  readonly retry: RetryPolicy;
  readonly progress?: (current: number, total: number | undefined) => void;
  /** The bytes of the blob from `start`. */
  readonly open: (start: number) => Promise<Result<AsyncIterable<Uint8Array>>>;
  /** The failure when what came is another blob. */
  readonly damaged: (why: Failure) => Failure;
  readonly gaveUp?: (last: TransientError) => Failure;
}

/** An attempt that brought less than this has not moved: a server cannot keep a download alive byte by byte. */
const PROGRESS_BYTES = 65_536;

/** Downloads a blob into the store: what arrived before a failure is kept and asked for no more. */
export async function downloadInto(
  store: PartialStore,
  blob: { readonly digest: Digest; readonly size: number },
  download: Download,
): Promise<Result<void>> {
  const partialKey = `blob-${hexOf(blob.digest)}`;
  let before = await store.partial(partialKey);
  const progressed = async (): Promise<boolean> => {
    const now = await store.partial(partialKey);
    const moved = now - before >= PROGRESS_BYTES;
    before = now;
    return moved;
  };
  const attempt = async (): Promise<Result<void>> => {
    const start = await store.partial(partialKey);
    const body =
      start >= blob.size ? { ok: true as const, value: nothing() } : await download.open(start);
    if (!body.ok) return body;
    const written = await store.ingest(counted(body.value, start, blob.size, download.progress), {
      signal: download.signal,
      digest: blob.digest,
      size: blob.size,
      partialKey,
    });
    if (written.ok) return { ok: true, value: undefined };
    return err(judge(written.error, start > 0, download));
  };
  return await withRetries(download.retry, download.signal, attempt, {
    progressed,
    ...(download.gaveUp === undefined ? {} : { gaveUp: download.gaveUp }),
  });
}

function judge(why: Failure, resumed: boolean, download: Download): Failure {
  // Too short, too long, or grown by another process: what is kept by now decides what is asked for next.
  if (['ST011', 'ST015'].includes(why.code)) throw new TransientError(why.message);
  if (why.code !== 'ST010') return why;
  // Of a resumed download the kept part may have been the wrong one; it is gone now.
  if (resumed) throw new TransientError(why.message);
  return download.damaged(why);
}

/**
 * The body of an answer to a request for the bytes from `start`: a server that knows no ranges sends everything, of which
 * what is there already is passed over. `other-range` is none that was asked for; undefined: the status says no body.
 */
export function bodyFrom(
  answer: HttpAnswer,
  start: number,
): AsyncIterable<Uint8Array> | 'other-range' | undefined {
  if (answer.status === 200) return start === 0 ? answer.body : skipped(answer.body, start);
  if (answer.status !== 206) return undefined;
  const match = /^bytes ([0-9]+)-/.exec(answer.header('content-range') ?? '');
  if (match !== null && Number(match[1]) === start) return answer.body;
  answer.drop();
  return 'other-range';
}

async function* skipped(
  body: AsyncIterable<Uint8Array>,
  start: number,
): AsyncGenerator<Uint8Array> {
  let left = start;
  for await (const chunk of body) {
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
  progress: Download['progress'],
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
