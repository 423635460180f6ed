import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { err, type Failure, failure, isErrno, ok, type Result, redact } from '../base/index.ts';
import { judgeRedirect, REDIRECTS } from '../http/index.ts';
import type { ContentStore, HttpDownload, HttpFiles } from '../ports/index.ts';

/** What downloads need. */
export interface HttpFilesDeps {
  readonly content: ContentStore;
  /** URL of the proxy for a target, or undefined for a direct connection. */
  readonly proxyFor?: (url: URL) => string | undefined;
  /** Pause before the second attempt, doubled each time; tests make it short. */
  readonly firstPauseMs?: number;
}

type FetchOptions = Parameters<HttpFiles['fetch']>[1];

const TRIES = 4;
const FIRST_PAUSE_MS = 500;
const STALL_MS = 60_000;
const MAX_REDIRECTS = 10;
/** A file that one instruction adds is smaller than this. */
const MAX_BYTES = 64 * 2 ** 30;

/** Downloads by HTTP and HTTPS; the library is loaded with the first request. */
export function createHttpFiles(deps: HttpFilesDeps): HttpFiles & AsyncDisposable {
  return new Files(deps);
}

/** A failure that another attempt may not meet; it does not leave this file. */
class Transient extends Error {}

interface Answer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: Dispatcher.ResponseData['body'];
}

class Files implements HttpFiles, AsyncDisposable {
  readonly #deps: HttpFilesDeps;
  readonly #pools = new Map<string, Dispatcher>();

  constructor(deps: HttpFilesDeps) {
    this.#deps = deps;
  }

  async fetch(url: string, options: FetchOptions): Promise<Result<HttpDownload>> {
    if (!URL.canParse(url)) return err(failure('SR001', 2, `${redact(url)} is no address`));
    const pause = this.#deps.firstPauseMs ?? FIRST_PAUSE_MS;
    for (let tried = 1; ; tried++) {
      options.signal.throwIfAborted();
      try {
        return await this.#attempt(url, options);
      } catch (e) {
        options.signal.throwIfAborted();
        if (!(e instanceof Transient)) throw e;
        if (tried === TRIES)
          return err(
            unreachableFile(
              url,
              e.message,
              `tried ${TRIES} times; check the address and the network`,
              e.cause,
            ),
          );
        const wait = pause * 2 ** (tried - 1);
        await delay(wait / 2 + randomInt(Math.ceil(wait / 2) + 1), undefined, {
          signal: options.signal,
        });
      }
    }
  }

  async #attempt(url: string, options: FetchOptions): Promise<Result<HttpDownload>> {
    const answer = await this.#follow(new URL(url), options);
    if (!answer.ok) return answer;
    const { status, body, header } = answer.value;
    if (status === 304 && options.validators !== undefined) {
      await body.dump();
      return ok({ kind: 'unchanged' });
    }
    if (status < 200 || status >= 400) {
      await body.dump();
      if (status === 429 || status >= 500) throw new Transient(`invalid response status ${status}`);
      return err(unreachableFile(url, `invalid response status ${status}`, helpFor(status)));
    }
    const length = Number(header('content-length'));
    const expected = header('content-encoding') === undefined && length >= 0 ? length : undefined;
    const blob = await this.#deps.content.ingest(this.#bytes(body, expected, options), {
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

  async #follow(start: URL, options: FetchOptions): Promise<Result<Answer>> {
    let url = start;
    let authorization = options.authorization ?? basicOf(start);
    for (let hop = 0; ; hop++) {
      const answer = await this.#once(url, authorization, options);
      const location = REDIRECTS.has(answer.status) ? answer.header('location') : undefined;
      if (location === undefined) return ok(answer);
      await answer.body.dump();
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
  ): Promise<Answer> {
    const { request } = await import('./undici.ts');
    const bare = new URL(url);
    [bare.username, bare.password, bare.hash] = ['', '', ''];
    try {
      const answer = await request(bare, {
        method: 'GET',
        dispatcher: await this.#pool(bare),
        signal,
        headersTimeout: STALL_MS,
        bodyTimeout: STALL_MS,
        headers: {
          'user-agent': 'varve',
          'accept-encoding': 'identity',
          ...(authorization === undefined ? {} : { authorization }),
          ...(validators?.etag === undefined ? {} : { 'if-none-match': validators.etag }),
          ...(validators?.lastModified === undefined
            ? {}
            : { 'if-modified-since': validators.lastModified }),
        },
      });
      return {
        status: answer.statusCode,
        header: (name) => [answer.headers[name]].flat()[0],
        body: answer.body,
      };
    } catch (e) {
      signal.throwIfAborted();
      throw asTransient(e);
    }
  }

  async *#bytes(
    body: Answer['body'],
    expected: number | undefined,
    { signal, progress }: FetchOptions,
  ): AsyncGenerator<Uint8Array> {
    let read = 0;
    try {
      for await (const chunk of body) {
        // A body without an encoding yields buffers.
        const bytes = chunk as Buffer;
        read += bytes.length;
        progress?.(read, expected);
        yield bytes;
      }
    } catch (e) {
      signal.throwIfAborted();
      throw asTransient(e);
    }
    if (expected !== undefined && read !== expected)
      throw new Transient(`the answer ended after ${read} of ${expected} bytes`);
  }

  async #pool(url: URL): Promise<Dispatcher> {
    const proxy = this.#deps.proxyFor?.(url);
    const key = proxy ?? '';
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const { Agent, ProxyAgent } = await import('./undici.ts');
    const pool =
      proxy === undefined
        ? new Agent({ connections: 8, connect: { timeout: STALL_MS } })
        : new ProxyAgent({ uri: proxy, connections: 8 });
    this.#pools.set(key, pool);
    return pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }
}

function unreachableFile(url: string, why: string, help: string, cause?: unknown): Failure {
  return failure('SR001', 3, `GET ${redact(url)}: ${why}`, {
    help,
    ...(cause === undefined ? {} : { cause }),
  });
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

const NETWORK =
  /^(?:ECONN|EPIPE$|ETIMEDOUT$|ENOTFOUND$|EAI_|ENET|EHOST|EADDR|UND_|ERR_STREAM_PREMATURE|ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HPE_)/;

/** A network failure as `Transient`; other errors are bugs and stay. */
function asTransient(e: unknown): unknown {
  if (e instanceof Transient || !(e instanceof Error)) return e;
  const inner = e instanceof AggregateError && e.errors[0] instanceof Error ? e.errors[0] : e;
  const code = 'code' in inner ? String(inner.code) : '';
  if (!NETWORK.test(code) && !isErrno(inner, 'ECONNRESET')) return e;
  return new Transient(inner.message === '' ? code : inner.message, { cause: inner });
}
