import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, type Dispatcher, errors, ProxyAgent, request } from 'undici';
import { err, type Failure, failure, isErrno, ok, type Result, redact } from '../base/index.ts';
import { judgeRedirect, REDIRECTS } from '../http/index.ts';

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

const TRIES = 4;
const FIRST_PAUSE_MS = 250;
const MAX_REDIRECTS = 5;
const STALL_MS = 30_000;

/** A redirect that is not followed; it does not leave this file. */
class RefusedRedirect extends Error {}

/** Reads `http:`, `https:` and `file:` URLs with redirects, proxies and retries with back-off. */
export class Fetcher implements AsyncDisposable {
  readonly #route: HttpRoute;
  readonly #pools = new Map<string, Dispatcher>();

  constructor(route: HttpRoute) {
    this.#route = route;
  }

  /**
   * Runs `use` over the answer; what fails on the way (connections, 408, 429, 5xx, a body that stops) is tried again, four
   * times in all. `use` returns a failure itself for what must not be tried again.
   */
  async get<T>(
    url: string,
    options: GetOptions,
    use: (answer: Answer) => Promise<Result<T>>,
    startOf: () => Promise<number> = () => Promise.resolve(options.start ?? 0),
  ): Promise<Result<T>> {
    let last: Failure = unreachableUrl(url, 'not tried');
    for (let attempt = 0; attempt < TRIES; attempt++) {
      if (attempt > 0)
        await delay(FIRST_PAUSE_MS * 4 ** (attempt - 1), undefined, { signal: options.signal });
      options.signal.throwIfAborted();
      try {
        const answer = await this.#once(url, { ...options, start: await startOf() });
        if (!isTransient(answer.status)) return await use(answer);
        await drop(answer.body);
        last = unreachableUrl(url, `the server answers ${answer.status}`);
      } catch (e) {
        options.signal.throwIfAborted();
        if (e instanceof RefusedRedirect) return err(unreachableUrl(url, e.message));
        if (!isNetworkError(e)) throw e;
        last = unreachableUrl(url, networkReason(e), e);
      }
    }
    return err(last);
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
      if (!next.ok) throw new RefusedRedirect(next.why);
      if (hop >= MAX_REDIRECTS) throw new RefusedRedirect('too many redirects');
      target = next.to;
    }
  }

  async #request(
    target: URL,
    options: GetOptions,
  ): Promise<Answer & { readonly location: string | undefined }> {
    const authorization = this.#route.authorization(target);
    const start = options.start ?? 0;
    const response = await request(target, {
      dispatcher: this.#pool(target),
      signal: options.signal,
      headers: {
        'user-agent': 'varve',
        ...options.headers,
        ...(authorization === undefined ? {} : { authorization }),
        ...(start > 0 ? { range: `bytes=${start}-` } : {}),
      },
      headersTimeout: STALL_MS,
      bodyTimeout: STALL_MS,
    });
    const header = (name: string): string | undefined => {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    const length = header('content-length');
    const ranged = /^bytes (\d+)-/.exec(header('content-range') ?? '');
    return {
      status: response.statusCode,
      etag: header('etag'),
      lastModified: header('last-modified'),
      length: length === undefined ? undefined : Number(length),
      start: response.statusCode === 206 ? Number(ranged?.[1] ?? Number.NaN) : 0,
      body: response.body,
      location: header('location'),
    };
  }

  #pool(target: URL): Dispatcher {
    const proxy = this.#route.proxyFor(target);
    const key = proxy ?? '';
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const options = { connect: { timeout: STALL_MS }, connections: 8 };
    const pool =
      proxy === undefined ? new Agent(options) : new ProxyAgent({ uri: proxy, ...options });
    this.#pools.set(key, pool);
    return pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }
}

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
export async function drop(body: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const _chunk of body) break;
  } catch (e) {
    if (!isNetworkError(e)) throw e;
  }
}

function isNetworkError(e: unknown): e is Error {
  return (
    e instanceof errors.UndiciError ||
    isErrno(
      e,
      'ECONNREFUSED',
      'ECONNRESET',
      'ECONNABORTED',
      'EPIPE',
      'ETIMEDOUT',
      'ENOTFOUND',
      'EAI_AGAIN',
      'ENETUNREACH',
      'EHOSTUNREACH',
      'EADDRNOTAVAIL',
    ) ||
    (e instanceof Error &&
      'code' in e &&
      /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(String(e.code))) ||
    e instanceof AggregateError
  );
}

function networkReason(e: Error): string {
  if (e instanceof AggregateError && e.errors[0] instanceof Error)
    return networkReason(e.errors[0]);
  return e.message === '' ? e.name : e.message;
}

/** The failure for a URL that cannot be had. */
export function unreachableUrl(url: string, why: string, cause?: unknown): Failure {
  return failure('PK002', 3, `GET ${redact(url)}: ${why}`, {
    help: 'check the network and the mirror',
    ...(cause === undefined ? {} : { cause }),
  });
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
