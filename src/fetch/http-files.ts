import {
  err,
  type Failure,
  FailureError,
  failure,
  ok,
  type Result,
  redact,
} from '../base/index.ts';
import {
  type HttpAnswer,
  HttpClient,
  judgeRedirect,
  REDIRECTS,
  type RetryPolicy,
  retryAfterMs,
  TransientError,
  withRetries,
} from '../http/index.ts';
import type { Clock, ContentStore, HttpDownload, HttpFiles } from '../ports/index.ts';

/** What downloads need. */
export interface HttpFilesDeps {
  readonly content: ContentStore;
  readonly clock: Clock;
  /** URL of the proxy for a target, or undefined for a direct connection. */
  readonly proxyFor?: (url: URL) => string | undefined;
  /** No answer, or no further byte, for so long is a stall. Default 60 s. */
  readonly stallMs?: number;
  readonly retry?: Partial<RetryPolicy>;
}

type FetchOptions = Parameters<HttpFiles['fetch']>[1];

const RETRY: RetryPolicy = { tries: 4, firstPauseMs: 500, maxPauseMs: 60_000 };
const STALL_MS = 60_000;
const MAX_REDIRECTS = 10;
/** A file that one instruction adds is smaller than this. */
const MAX_BYTES = 64 * 2 ** 30;

/** Downloads by HTTP and HTTPS; the library is loaded with the first request. */
export function createHttpFiles(deps: HttpFilesDeps): HttpFiles & AsyncDisposable {
  return new Files(deps);
}

class Files implements HttpFiles, AsyncDisposable {
  readonly #deps: HttpFilesDeps;
  readonly #http: HttpClient;

  constructor(deps: HttpFilesDeps) {
    this.#deps = deps;
    const { stallMs = STALL_MS, proxyFor } = deps;
    this.#http = new HttpClient({ stallMs, ...(proxyFor === undefined ? {} : { proxyFor }) });
  }

  async fetch(url: string, options: FetchOptions): Promise<Result<HttpDownload>> {
    if (!URL.canParse(url)) return err(failure('SR001', 2, `${redact(url)} is no address`));
    const retry = { ...RETRY, ...this.#deps.retry };
    return await withRetries(retry, options.signal, () => this.#attempt(url, options), {
      gaveUp: ({ message, cause }, tries) =>
        failure('SR001', 3, message, {
          help: `tried ${tries} ${tries === 1 ? 'time' : 'times'}; check the address and the network`,
          ...(cause === undefined ? {} : { cause }),
        }),
    });
  }

  async #attempt(url: string, options: FetchOptions): Promise<Result<HttpDownload>> {
    const answer = await this.#follow(new URL(url), options);
    if (!answer.ok) return answer;
    const { status } = answer.value;
    const header = (name: string): string | undefined => answer.value.header(name);
    if (status === 304 && options.validators !== undefined) {
      answer.value.drop();
      return ok({ kind: 'unchanged' });
    }
    if (status < 200 || status >= 400) {
      answer.value.drop();
      const why = `invalid response status ${status}`;
      if (status === 429 || status >= 500) {
        const pause = retryAfterMs(header('retry-after'), this.#deps.clock.now());
        throw new TransientError(
          `GET ${redact(url)}: ${why}`,
          pause === undefined ? {} : { retryAfterMs: pause },
        );
      }
      return err(unreachableFile(url, why, helpFor(status)));
    }
    const length = Number(header('content-length'));
    const expected = header('content-encoding') === undefined && length >= 0 ? length : undefined;
    const blob = await this.#deps.content.ingest(bytesOf(url, answer.value, expected, options), {
      signal: options.signal,
      maxBytes: MAX_BYTES,
    });
    if (!blob.ok) return blob;
    const [etag, lastModified] = [header('etag'), header('last-modified')];
    const filename = proposedName(header('content-disposition'));
    return ok({
      kind: 'fetched',
      ...blob.value,
      ...(etag === undefined ? {} : { etag }),
      ...(lastModified === undefined ? {} : { lastModified }),
      ...(filename === undefined ? {} : { filename }),
    });
  }

  async #follow(start: URL, options: FetchOptions): Promise<Result<HttpAnswer>> {
    let url = start;
    let authorization = options.authorization ?? basicOf(start);
    for (let hop = 0; ; hop++) {
      const answer = await this.#once(url, authorization, options);
      if (!answer.ok) return answer;
      const leads = REDIRECTS.has(answer.value.status);
      const location = leads ? answer.value.header('location') : undefined;
      if (location === undefined) return answer;
      answer.value.drop();
      const next = judgeRedirect(url, location);
      if (!next.ok || hop === MAX_REDIRECTS) {
        const why = next.ok
          ? `refused redirect to ${redact(location)}: too many redirects`
          : next.why;
        return err(unreachableFile(start.href, why, 'give the address that it leads to'));
      }
      if (!next.sameOrigin) authorization = basicOf(next.to);
      url = next.to;
    }
  }

  async #once(
    url: URL,
    authorization: string | undefined,
    { validators, signal }: FetchOptions,
  ): Promise<Result<HttpAnswer>> {
    const bare = new URL(url);
    [bare.username, bare.password, bare.hash] = ['', '', ''];
    const headers = {
      ...(authorization === undefined ? {} : { authorization }),
      ...(validators?.etag === undefined ? {} : { 'if-none-match': validators.etag }),
      ...(validators?.lastModified === undefined
        ? {}
        : { 'if-modified-since': validators.lastModified }),
    };
    try {
      // What is added is the file as it is kept there, not what a library makes of its encoding.
      const request = {
        method: 'GET',
        url: bare,
        headers,
        signal,
        stay: true,
        asSent: true,
      } as const;
      return ok(await this.#http.send(request, { base: bare, config: {} }));
    } catch (e) {
      if (!(e instanceof FailureError)) throw e;
      return err(failure('SR001', 3, e.failure.message, { help: 'check the address', cause: e }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

async function* bytesOf(
  url: string,
  { body }: HttpAnswer,
  expected: number | undefined,
  { progress }: FetchOptions,
): AsyncGenerator<Uint8Array> {
  let read = 0;
  for await (const bytes of body) {
    read += bytes.length;
    progress?.(read, expected);
    yield bytes;
  }
  if (expected !== undefined && read !== expected)
    throw new TransientError(
      `GET ${redact(url)}: the answer ended after ${read} of ${expected} bytes`,
    );
}

function unreachableFile(url: string, why: string, help: string): Failure {
  return failure('SR001', 3, `GET ${redact(url)}: ${why}`, { help });
}

function helpFor(status: number): string {
  return status === 401 || status === 403 ? 'the server wants credentials' : 'check the address';
}

/** User and password of an address as a header. */
function basicOf(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** `filename` of Content-Disposition (RFC 6266) when it is a plain name. */
function proposedName(header: string | undefined): string | undefined {
  const match = /;\s*filename\s*=\s*(?:"([^"]*)"|([^;\s]+))/i.exec(header ?? '');
  const name = match?.[1] ?? match?.[2];
  return name === undefined || !/^[^/\0]+$/.test(name) || name === '.' || name === '..'
    ? undefined
    : name;
}
