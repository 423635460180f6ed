import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { FailureError, failure, redact } from '../../base/index.ts';
import {
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  judgeRedirect,
  REDIRECTS,
} from '../../http/index.ts';

/** A request as the AWS library signed it. */
interface Signed {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** The part of a `requestHandler` that the library uses. */
type Handler = Exclude<S3ClientConfig['requestHandler'], undefined>;

/** Sends the library's requests with the client that all services use: its proxies, certificates and limits for stalls. */
export function s3Handler(http: HttpClient): Handler {
  const handler = {
    metadata: { handlerProtocol: 'http/1.1' },
    handle: async (
      signed: Signed,
      options: { readonly abortSignal?: AbortSignal } = {},
    ): Promise<{ readonly response: unknown }> => {
      const url = addressOf(signed);
      const { body } = signed;
      // What the client sets itself, or cannot send.
      const headers = Object.fromEntries(
        Object.entries(signed.headers).filter(
          ([name]) => !/^(?:host|content-length|expect)$/i.test(name),
        ),
      );
      const sent = typeof body === 'string' ? Buffer.from(body) : body;
      const answer = await http.send(
        {
          // The library uses the methods of HTTP that the client knows.
          method: signed.method as HttpRequest['method'],
          url,
          headers:
            sent instanceof Uint8Array
              ? { ...headers, 'content-length': String(sent.length) }
              : headers,
          ...(sent instanceof Uint8Array ? { body: () => sent } : {}),
          signal: options.abortSignal ?? new AbortController().signal,
          stay: true,
        },
        { base: url, config: {} },
      );
      refuseRedirect(url, answer);
      return { response: await responseOf(signed, answer) };
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  };
  // The library checks the shape only.
  return handler;
}

/** A request is signed for one address, and its headers hold the token of a session: it goes nowhere else. */
function refuseRedirect(url: URL, answer: HttpAnswer): void {
  const location = REDIRECTS.has(answer.status) ? answer.header('location') : undefined;
  if (location === undefined) return;
  answer.drop();
  const judged = judgeRedirect(url, location);
  const why = judged.ok
    ? `refused redirect to ${redact(location)}: requests are signed for ${url.origin}`
    : judged.why;
  throw new FailureError(
    failure('RC012', 3, `${redact(url)}: ${why}`, {
      help: 'give the endpoint and the region where the bucket is',
    }),
  );
}

function addressOf(signed: Signed): URL {
  const { protocol, hostname, port, path, query = {} } = signed;
  const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`);
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? value : [value];
    for (const each of values)
      parts.push(`${encode(name)}${each === null ? '' : `=${encode(each)}`}`);
  }
  url.search = parts.join('&');
  return url;
}

/** RFC 3986 without exceptions, as the signature is made of. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const HEADERS = [
  ...['content-length', 'content-type', 'content-range', 'etag', 'last-modified', 'location'],
  ...['retry-after', 'x-amz-request-id', 'x-amz-bucket-region', 'date', 'x-amz-version-id'],
];

async function responseOf(signed: Signed, answer: HttpAnswer): Promise<unknown> {
  const headers: Record<string, string> = {};
  for (const name of HEADERS) {
    const value = answer.header(name);
    if (value !== undefined) headers[name] = value;
  }
  const { Readable } = await import('node:stream');
  const body = Readable.from(answer.body);
  if (signed.method === 'HEAD') answer.drop();
  return { statusCode: answer.status, headers, ...(signed.method === 'HEAD' ? {} : { body }) };
}
