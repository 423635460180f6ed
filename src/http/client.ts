import { pipeline } from 'node:stream/promises';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { FailureError, failure, isErrno, redact } from '../base/index.ts';
import { Reach } from './reach.ts';
import { judgeRedirect, REDIRECTS } from './redirect.ts';
import { TransientError } from './transient-error.ts';

/** Certificates of one host. */
export interface TlsConfig {
  /** Certificates (PEM) that are trusted for this host, besides the system's. */
  readonly ca?: string;
  /** Client certificate and key (PEM). */
  readonly cert?: string;
  readonly key?: string;
  /** Accept any certificate. */
  readonly skipVerify?: boolean;
}

/** A host that requests are meant for. */
export interface HttpTarget {
  readonly base: URL;
  readonly config: TlsConfig;
}

/** One request; the body is a function so that it can be sent again. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: () => AsyncIterable<Uint8Array> | Uint8Array;
  readonly signal: AbortSignal;
  /** Gives an answer that leads elsewhere to the caller: the request is signed for one address. */
  readonly stay?: boolean;
  /** The body is wanted as the server keeps it, compressed or not. */
  readonly asSent?: boolean;
  /** The body holds a credential: a redirect to another origin is refused. */
  readonly secretBody?: boolean;
}

/** An answer whose body has not been read: read it, or `drop` it. */
export interface HttpAnswer {
  readonly status: number;
  /** Where the answer came from, behind redirects. */
  readonly url: URL;
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  drop(): void;
}

/** What `HttpClient` needs. */
export interface HttpClientOptions {
  /** No answer, or no further byte, for so long is a stall. */
  readonly stallMs: number;
  /** URL of the proxy for a target, or undefined for a direct connection. */
  readonly proxyFor?: (url: URL) => string | undefined;
}

/** Longest time for a connection, its handshake included. */
const CONNECT_MS = 5000;
const MAX_REDIRECTS = 5;

/** HTTP with redirects that take no credentials to another host. The library is loaded with the first request. */
export class HttpClient implements AsyncDisposable {
  readonly #options: HttpClientOptions;
  readonly #pools = new Map<string, Dispatcher>();
  readonly #reach = new Reach();

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** Sends a request and follows redirects; a network failure throws `TransientError`. */
  async send(request: HttpRequest, endpoint: HttpTarget): Promise<HttpAnswer> {
    let { url, headers = {} } = request;
    for (let hop = 0; ; hop++) {
      const answer = await this.#once({ ...request, url, headers }, endpoint);
      const leads = REDIRECTS.has(answer.status) && request.stay !== true;
      const location = leads ? answer.header('location') : undefined;
      if (location === undefined) return answer;
      answer.drop();
      const next = judgeRedirect(url, location);
      if (!next.ok) throw refusedRedirect(request, next.why);
      const shown = `refused redirect to ${redact(location)}`;
      if (hop >= MAX_REDIRECTS) throw refusedRedirect(request, `${shown}: too many redirects`);
      if (!next.sameOrigin) {
        if (request.secretBody === true)
          throw refusedRedirect(request, `${shown}: credentials are for ${url.origin} only`);
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => !/^(?:authorization|cookie)$/i.test(name)),
        );
      }
      url = next.to;
    }
  }

  async #once(request: HttpRequest, endpoint: HttpTarget): Promise<HttpAnswer> {
    const { request: send } = await import('./undici.ts');
    const { url, method, signal } = request;
    const began = performance.now();
    try {
      const answer = await send(url, {
        method,
        dispatcher: await this.#pool(url, endpoint),
        signal,
        headers: { 'user-agent': 'varve', 'accept-encoding': 'identity', ...request.headers },
        // The library takes any async iterable of bytes; its types name streams only.
        body: (request.body?.() ?? null) as Uint8Array | null,
        headersTimeout: this.#options.stallMs,
        bodyTimeout: this.#options.stallMs,
      });
      this.#reach.answered(url.origin);
      const header = (name: string): string | undefined => {
        const value = answer.headers[name];
        return Array.isArray(value) ? value[0] : value;
      };
      const body = guarded(answer.body, `${method} ${redact(url)}`, signal);
      // Asked for or not, some proxies compress; a range is one of the compressed bytes and stays as it is.
      const compressed =
        request.asSent !== true &&
        answer.statusCode !== 206 &&
        /^(?:x-)?gzip$/i.test(header('content-encoding') ?? '');
      return {
        status: answer.statusCode,
        url,
        header: (name) => (compressed && name === 'content-length' ? undefined : header(name)),
        body: compressed ? unzipped(body, `${method} ${redact(url)}`) : body,
        drop: () => {
          answer.body.on('error', () => undefined);
          answer.body.destroy();
        },
      };
    } catch (e) {
      signal.throwIfAborted();
      const failed = asTransient(e, `${method} ${redact(url)}`);
      throw failed instanceof TransientError
        ? this.#reach.silent(url.origin, failed, began)
        : failed;
    }
  }

  async #pool(url: URL, endpoint: HttpTarget): Promise<Dispatcher> {
    const proxy = this.#options.proxyFor?.(url);
    // The host's certificates are for the host, not for where it redirects to.
    const config: TlsConfig = url.host === endpoint.base.host ? endpoint.config : {};
    const secure = url.protocol === 'https:';
    const own = config === endpoint.config ? endpoint.base.host : '';
    const key = `${proxy ?? ''}|${own}|${url.protocol}`;
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const { Agent, ProxyAgent } = await import('./undici.ts');
    const tls = secure ? tlsOptions(config) : {};
    const common = {
      connections: 16,
      connect: { timeout: Math.min(CONNECT_MS, this.#options.stallMs), ...tls },
    };
    const pool =
      proxy === undefined
        ? new Agent(common)
        : new ProxyAgent({ uri: proxy, requestTls: tls, connections: 16 });
    this.#pools.set(key, pool);
    return pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }
}

/** Trusted are the authorities of Node, of the system, and of the host; made once a pool, since reading them takes a while. */
function tlsOptions(config: TlsConfig): {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
} {
  const { ca, cert, key } = config;
  const trusted = [
    ...getCACertificates('default'),
    ...getCACertificates('system'),
    ...(ca === undefined ? [] : [ca]),
  ];
  return {
    secureContext: createSecureContext({
      ca: trusted,
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    }),
    rejectUnauthorized: config.skipVerify !== true,
  };
}

function refusedRedirect(request: HttpRequest, why: string): FailureError {
  return new FailureError(failure('RG008', 3, `${request.method} ${redact(request.url)}: ${why}`));
}

async function* guarded(
  body: AsyncIterable<unknown>,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    // A body without an encoding yields buffers.
    for await (const chunk of body) yield chunk as Buffer;
  } catch (e) {
    signal.throwIfAborted();
    throw asTransient(e, what);
  }
}

/** A body without the compression of its way (RFC 9110, section 8.4.1.3); readers limit what they take of it. */
async function* unzipped(
  body: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  const { createGunzip } = await import('node:zlib');
  const gunzip = createGunzip();
  const feeding = pipeline(body, gunzip).catch(() => undefined);
  try {
    // A stream of bytes without an encoding yields buffers.
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (e) {
    if (e instanceof Error && 'code' in e && /^Z_/.test(String(e.code)))
      throw new TransientError(`${what}: the body is not compressed as it says`, { cause: e });
    throw e;
  } finally {
    gunzip.destroy();
    await feeding;
  }
}

const NETWORK =
  /^(?:ECONN|EPIPE$|ETIMEDOUT$|ENOTFOUND$|EAI_|ENET|EHOST|EADDR|UND_|ERR_STREAM_PREMATURE|ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HPE_)/;
/** Certificates do not get better by asking again. */
const CERTIFICATE = /^(?:ERR_TLS_CERT|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/;

/** A network failure as `TransientError`, one of certificates as `FailureError`; other errors are bugs and stay. */
function asTransient(e: unknown, what: string): unknown {
  if (e instanceof TransientError || e instanceof FailureError || !(e instanceof Error)) return e;
  const inner = e instanceof AggregateError && e.errors[0] instanceof Error ? e.errors[0] : e;
  const code = 'code' in inner ? String(inner.code) : '';
  if (!NETWORK.test(code) && !isErrno(inner, 'ECONNRESET')) return e;
  if (CERTIFICATE.test(code)) {
    return new FailureError(
      failure('RG009', 3, `${what}: the certificate is not trusted: ${inner.message}`, {
        help: 'put the certificate of its authority into /etc/docker/certs.d/HOST:PORT/ca.crt, or use the right host name',
      }),
    );
  }
  const why = /TIMEOUT/.test(code)
    ? 'no answer in time'
    : inner.message === ''
      ? code
      : inner.message;
  return new TransientError(`${what}: ${why}`, { cause: inner });
}

/** Reads a body of at most `maxBytes`; undefined when there is more. */
export async function readCapped(
  answer: HttpAnswer,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
