export {
  type HttpAnswer,
  HttpClient,
  type HttpClientOptions,
  type HttpRequest,
  type HttpTarget,
  readCapped,
  type TlsConfig,
} from './client.ts';
export { bodyFrom, type Download, downloadInto, type PartialStore } from './download.ts';
export { judgeRedirect, REDIRECTS } from './redirect.ts';
export { type RetryPolicy, retryAfterMs, withRetries } from './retry.ts';
export { Secrets } from './secrets.ts';
export { TransientError } from './transient-error.ts';
