import type { S3Client } from '@aws-sdk/client-s3';
import {
  err,
  type Failure,
  FailureError,
  failure,
  isRecord,
  ok,
  type Result,
} from '../../base/index.ts';
import {
  type HttpClient,
  type RetryPolicy,
  retryAfterMs,
  TransientError,
  withRetries,
} from '../../http/index.ts';
import type { Clock } from '../../ports/index.ts';
import { s3Handler } from './handler.ts';
import type { S3Place } from './place.ts';

/** The AWS library. */
export type Sdk = typeof import('./sdk.ts');

/** What requests to a bucket need. */
export interface BucketDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
}

/** One request: the library makes and reads it. */
export type Ask<T> = (
  client: S3Client,
  sdk: Sdk,
  options: { readonly abortSignal: AbortSignal },
) => Promise<T>;

/** A bucket as one user sees it; the library is loaded, and credentials are looked for, with the first request. */
export class Bucket {
  readonly name: string;
  readonly #deps: BucketDeps;
  readonly #place: S3Place;
  #client: Promise<{ readonly client: S3Client; readonly sdk: Sdk }> | undefined;

  constructor(deps: BucketDeps, place: S3Place) {
    this.#deps = deps;
    this.#place = place;
    this.name = place.bucket ?? '';
  }

  /** Does one request, again where that can help; RC010 is the code for what is not there. */
  async ask<T>(what: string, signal: AbortSignal, request: Ask<T>): Promise<Result<T>> {
    const { retry } = this.#deps;
    const policy = { ...retry, tries: Math.min(retry.tries, this.#place.attempts) };
    return await withRetries(policy, signal, () => this.once(what, signal, request), {
      gaveUp: (last) =>
        failure('RC012', 3, `${what}: ${last.message}`, {
          help: `tried ${policy.tries} times; check the network and the endpoint`,
          cause: last.cause,
        }),
    });
  }

  /** Does a request once; what may pass throws `TransientError`. */
  async once<T>(what: string, signal: AbortSignal, request: Ask<T>): Promise<Result<T>> {
    this.#client ??= this.#open();
    const { client, sdk } = await this.#client;
    try {
      return ok(await request(client, sdk, { abortSignal: signal }));
    } catch (e) {
      signal.throwIfAborted();
      return err(this.#judge(what, e));
    }
  }

  async #open(): Promise<{ readonly client: S3Client; readonly sdk: Sdk }> {
    const sdk = await import('./sdk.ts');
    const { region, endpoint, pathStyle, credentials } = this.#place;
    const client = new sdk.S3Client({
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: pathStyle }),
      ...(credentials === undefined
        ? {}
        : {
            credentials: {
              accessKeyId: credentials.accessKeyId.reveal(),
              secretAccessKey: credentials.secretAccessKey.reveal(),
              ...(credentials.sessionToken === undefined
                ? {}
                : { sessionToken: credentials.sessionToken.reveal() }),
            },
          }),
      // Servers that are not Amazon's know no trailing checksums; blobs carry their digest.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: 1,
      requestHandler: s3Handler(this.#deps.http),
    });
    return { client, sdk };
  }

  /** What an error of the library means; its texts are not shown, since servers put requests into them. */
  #judge(what: string, e: unknown): Failure {
    if (e instanceof TransientError || e instanceof FailureError) throw e;
    if (!(e instanceof Error)) throw e;
    if (/Credentials/.test(e.name) || /^(?:ENOENT|ECONNREFUSED)$/.test(String(codeOf(e))))
      return failure('RC014', 3, `${what}: no credentials for the bucket ${this.name}`, {
        help: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give access_key_id and secret_access_key',
      });
    const meta = '$metadata' in e && isRecord(e.$metadata) ? e.$metadata : {};
    const status = Number(meta['httpStatusCode'] ?? 0);
    if (status === 0 && !('$response' in e)) throw e;
    const say = `${what}: the bucket ${this.name} answers ${status} ${e.name}`;
    if (
      status === 408 ||
      status === 429 ||
      (status >= 500 && status !== 501) ||
      e.name === 'SlowDown'
    )
      throw new TransientError(say, this.#pauseOf(e));
    if (status === 404) return failure('RC010', 3, say);
    if (status === 401 || status === 403)
      return failure('RC011', 3, say, { help: 'check the keys and their rights to the bucket' });
    return failure('RC012', 3, say);
  }

  #pauseOf(e: Error): { readonly retryAfterMs?: number } {
    const response = '$response' in e && isRecord(e.$response) ? e.$response : {};
    const headers = isRecord(response['headers']) ? response['headers'] : {};
    const after = headers['retry-after'];
    const pause =
      typeof after === 'string' ? retryAfterMs(after, this.#deps.clock.now()) : undefined;
    return pause === undefined ? {} : { retryAfterMs: pause };
  }
}

const codeOf = (e: Error): unknown => ('code' in e ? e.code : undefined);
