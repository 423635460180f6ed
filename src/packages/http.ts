import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  err,
  type Failure,
  FailureError,
  failure,
  isErrno,
  ok,
  type Result,
  redact,
} from '../base/index.ts';
import {
  HttpClient,
  judgeRedirect,
  REDIRECTS,
  type RetryPolicy,
  TransientError,
  withRetries,
} from '../http/index.ts';

/** How repositories are reached: apt's proxies and credentials for the ones of the host. */
export interface HttpRoute {
  /** Proxy URL for a target, or undefined for a direct connection. */
  readonly proxyFor: (url: URL) => string | undefined;
  /** `Authorization` for a target, from apt's netrc-like files (apt_auth.conf(5)). */
  readonly authorization: (url: URL) => string | undefined;
}

/** One answer whose body has not been read. */
export interface Answer {
  readonly status: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly length: number | undefined;
  /** First byte of the body within the file (0 unless the range that was asked for is served). */
  readonly start: number;
  readonly body: AsyncIterable<Uint8Array>;
}

interface GetOptions {
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  readonly start?: number;
}

/** How patient requests are; what is absent has the default. */
export interface FetchLimits {
  /** No answer, or no further byte, for so long is a stall. Default 30 s. */
  readonly stallMs?: number;
  readonly retry?: Partial<RetryPolicy>;
}

const RETRY: RetryPolicy = { tries: 4, firstPauseMs: 500, maxPauseMs: 60_000 };
const MAX_REDIRECTS = 5;
const STALL_MS = 30_000;

/** Reads `http:`, `https:` and `file:` URLs with redirects, proxies and retries with back-off. */
export class Fetcher implements AsyncDisposable {
  readonly #route: HttpRoute;
  readonly #http: HttpClient;
  readonly #retry: RetryPolicy;

  constructor(route: HttpRoute, { stallMs = STALL_MS, retry }: FetchLimits = {}) {
    this.#route = route;
    this.#http = new HttpClient({ stallMs, proxyFor: (url) => route.proxyFor(url) });
    this.#retry = { ...RETRY, ...retry };
  }

  /**
   * Runs `use` over the answer; what fails on the way (connections, 408, 429, 5xx, a body that stops) is tried again. `use`
   * returns a failure itself for what must not be tried again.
   */
  async get<T>(
    url: string,
    options: GetOptions,
    use: (answer: Answer) => Promise<Result<T>>,
    startOf: () => Promise<number> = () => Promise.resolve(options.start ?? 0),
  ): Promise<Result<T>> {
    const attempt = async (): Promise<Result<T>> => {
      const answer = await this.#once(url, { ...options, start: await startOf() });
      if (!isTransient(answer.status)) return await use(answer);
      await drop(answer.body);
      throw new TransientError(`GET ${redact(url)}: the server answers ${answer.status}`);
    };
    return await withRetries(this.#retry, options.signal, attempt, {
      gaveUp: ({ message, cause }) =>
        failure('PK002', 3, message, { help: HELP, ...(cause === undefined ? {} : { cause }) }),
    });
  }

  async #once(url: string, options: GetOptions): Promise<Answer> {
    let target = new URL(url);
    for (let hop = 0; ; hop++) {
      if (target.protocol === 'file:') return await openFile(target, options.start ?? 0);
      const answer = await this.#request(target, options);
      const location = REDIRECTS.has(answer.status) ? answer.location : undefined;
      if (location === undefined) return answer;
      await drop(answer.body);
      const next = judgeRedirect(target, location);
      if (!next.ok) throw new FailureError(unreachableUrl(url, next.why));
      if (hop >= MAX_REDIRECTS) throw new FailureError(unreachableUrl(url, 'too many redirects'));
      target = next.to;
    }
  }

  async #request(
    target: URL,
    options: GetOptions,
  ): Promise<Answer & { readonly location: string | undefined }> {
    const authorization = this.#route.authorization(target);
    const start = options.start ?? 0;
    const headers = {
      ...options.headers,
      ...(authorization === undefined ? {} : { authorization }),
      ...(start > 0 ? { range: `bytes=${start}-` } : {}),
    };
    const { signal } = options;
    const request = { method: 'GET', url: target, headers, signal, stay: true } as const;
    // Checksums are those of files as they are kept, whatever a server says of their encoding.
    const sent = this.#http.send({ ...request, asSent: true }, { base: target, config: {} });
    const response = await sent.catch((e: unknown) => {
      if (!(e instanceof FailureError)) throw e;
      throw new FailureError(failure('PK002', 3, e.failure.message, { help: HELP, cause: e }));
    });
    const length = response.header('content-length');
    const ranged = /^bytes (\d+)-/.exec(response.header('content-range') ?? '');
    return {
      status: response.status,
      etag: response.header('etag'),
      lastModified: response.header('last-modified'),
      length: length === undefined ? undefined : Number(length),
      start: response.status === 206 ? Number(ranged?.[1] ?? Number.NaN) : 0,
      body: response.body,
      location: response.header('location'),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

const HELP = 'check the network and the mirror';

const isTransient = (status: number): boolean => status === 408 || status === 429 || status >= 500;

async function openFile(url: URL, start: number): Promise<Answer> {
  const path = fileURLToPath(url);
  const base = { etag: undefined, lastModified: undefined };
  try {
    const info = await stat(path);
    if (info.isFile())
      return {
        ...base,
        status: start > 0 ? 206 : 200,
        length: info.size - start,
        start,
        body: createReadStream(path, { start }),
      };
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES')) throw e;
  }
  return { ...base, status: 404, length: 0, start: 0, body: nothing() };
}

async function* nothing(): AsyncIterable<Uint8Array> {
  // An empty body.
}

/** Ends a body nobody reads, so that its connection is free again. */
async function drop(body: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const _chunk of body) break;
  } catch (e) {
    if (!(e instanceof TransientError)) throw e;
  }
}

/** The failure for a URL that cannot be had. */
export function unreachableUrl(url: string, why: string): Failure {
  return failure('PK002', 3, `GET ${redact(url)}: ${why}`, { help: HELP });
}

/** Reads a whole body of at most `maxBytes`, or undefined when there is more. */
export async function readAll(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

/** Turns a fetched status into a failure for everything but success. */
export function refuseStatus(url: string, status: number): Result<void> {
  return status === 200 || status === 206
    ? ok(undefined)
    : err(unreachableUrl(url, `the server answers ${status}`));
}
