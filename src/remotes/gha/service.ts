import {
  err,
  type Failure,
  failure,
  type GoJson,
  goJson,
  isRecord,
  ok,
  parseJson,
  type Result,
  redact,
} from '../../base/index.ts';
import {
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  type RetryPolicy,
  readCapped,
  retryAfterMs,
  Secrets,
  TransientError,
  withRetries,
} from '../../http/index.ts';
import type { Clock } from '../../ports/index.ts';
import { Pause } from './pause.ts';
import type { GhaAccount } from './place.ts';
import { within } from './within.ts';

/** What talking to the service needs. */
export interface GhaServiceDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
}

/** Of every entry that BuildKit writes: `sha256("|go-actionscache-1.0")` (go-actions-cache). */
export const GHA_VERSION = '693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2';

const SERVICE = '/twirp/github.actions.results.api.v1.CacheService/';
const MAX_ANSWER_BYTES = 32_768;

type Rpc =
  | { readonly kind: 'answer'; readonly value: Readonly<Record<string, unknown>> }
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly code: string;
      readonly say: string;
    };

/** The cache service of GitHub Actions, version 2: Twirp with JSON (`github.actions.results.api.v1.CacheService`). */
export class GhaService {
  readonly #deps: GhaServiceDeps;
  readonly #account: GhaAccount;
  readonly #secrets = new Secrets();
  readonly #pause = new Pause();

  constructor(deps: GhaServiceDeps, account: GhaAccount) {
    this.#deps = deps;
    this.#account = account;
    this.#secrets.add(account.token.reveal());
  }

  /** Finds the entry with exactly `key`, else the newest that begins with one of `prefixes`. */
  async find(
    key: string,
    prefixes: readonly string[],
    signal: AbortSignal,
  ): Promise<Result<{ readonly key: string; readonly url: URL } | undefined>> {
    const found = await this.#call('GetCacheEntryDownloadURL', signal, {
      key,
      restore_keys: prefixes,
      version: GHA_VERSION,
    });
    if (!found.ok) return found;
    if (found.value.kind === 'refused')
      return found.value.code === 'not_found' ? ok(undefined) : err(refusal(found.value));
    const { ok: there, signed_download_url: url, matched_key: matched } = found.value.value;
    if (there !== true) return ok(undefined);
    if (typeof url !== 'string' || !URL.canParse(url) || typeof matched !== 'string')
      return err(
        failure('RC012', 3, 'the cache service gives no address for an entry that it has'),
      );
    return this.#signed(url, (at) => ({ key: matched, url: at }));
  }

  /** Opens a new entry; `exists` when the key is taken, be it by an upload that has not ended. */
  async create(
    key: string,
    signal: AbortSignal,
  ): Promise<Result<{ readonly kind: 'exists' } | { readonly kind: 'open'; readonly url: URL }>> {
    const made = await this.#call('CreateCacheEntry', signal, { key, version: GHA_VERSION });
    if (!made.ok) return made;
    if (made.value.kind === 'refused')
      return made.value.code === 'already_exists'
        ? ok({ kind: 'exists' })
        : err(refusal(made.value));
    const { ok: there, signed_upload_url: url, message } = made.value.value;
    if (there === true && typeof url === 'string' && URL.canParse(url))
      return this.#signed(url, (at) => ({ kind: 'open', url: at }));
    const why = typeof message === 'string' ? this.#secrets.clean(message) : 'no reason is given';
    return err(failure('RC012', 3, `the cache service opens no entry: ${why}`));
  }

  /** Ends the upload of an entry, which can be found from then on. */
  async finish(key: string, size: number, signal: AbortSignal): Promise<Result<void>> {
    const done = await this.#call('FinalizeCacheEntryUpload', signal, {
      key,
      size_bytes: size,
      version: GHA_VERSION,
    });
    if (!done.ok) return done;
    if (done.value.kind === 'refused') return err(refusal(done.value));
    return done.value.value['ok'] === true
      ? ok(undefined)
      : err(failure('RC012', 3, `the cache service does not take the entry ${key}`));
  }

  /** A signed address is a key by itself: a service over https must not have it sent unencrypted. */
  #signed<T>(text: string, use: (url: URL) => T): Result<T> {
    const url = new URL(text);
    if (url.protocol === 'https:' || new URL(this.#account.url).protocol === 'http:')
      return ok(use(url));
    return err(
      failure('RC012', 3, `the cache service leads from https to http: ${redact(url)}`, {
        help: 'data of a cache goes over encrypted connections only',
      }),
    );
  }

  async #call(method: string, signal: AbortSignal, body: GoJson): Promise<Result<Rpc>> {
    const { url, token, timeoutMs } = this.#account;
    const base = new URL(url);
    return await within({ signal, timeoutMs, what: method }, async (bounded) => {
      const request: HttpRequest = {
        method: 'POST',
        url: new URL(`${SERVICE}${method}`, base),
        headers: {
          authorization: `Bearer ${token.reveal()}`,
          'content-type': 'application/json',
          accept: 'application/json',
        },
        body: () => Buffer.from(goJson(body)),
        signal: bounded,
      };
      return await withRetries(
        this.#deps.retry,
        bounded,
        async () => {
          await this.#pause.wait(this.#deps.clock, bounded);
          const answer = await this.#deps.http.send(request, { base, config: {} });
          if (answer.status === 429) {
            const { clock, retry } = this.#deps;
            const asked = retryAfterMs(answer.header('retry-after'), clock.now()) ?? 0;
            this.#pause.extend(clock, Math.min(asked, retry.maxPauseMs));
          }
          return ok(await this.#read(method, answer));
        },
        { gaveUp: (last) => gaveUp(method, last) },
      );
    });
  }

  async #read(method: string, answer: HttpAnswer): Promise<Rpc> {
    const { status } = answer;
    refuseTransient(answer, method, this.#deps.clock);
    const bytes = (await readCapped(answer, MAX_ANSWER_BYTES)) ?? new Uint8Array();
    const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
    const value = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
    if (status >= 200 && status < 300) return { kind: 'answer', value };
    const { code, msg } = value;
    const text = typeof msg === 'string' && msg !== '' ? `: ${msg}` : '';
    return {
      kind: 'refused',
      status,
      code: typeof code === 'string' ? code : status === 409 ? 'already_exists' : '',
      say: this.#secrets.clean(`${method}: the cache service answers ${status}${text}`),
    };
  }
}

/** Throws for statuses that another attempt may not meet; a rate limit says when to come again. */
export function refuseTransient(answer: HttpAnswer, what: string, clock: Clock): void {
  const { status } = answer;
  if (status !== 408 && status !== 429 && status < 500) return;
  answer.drop();
  const pause = retryAfterMs(answer.header('retry-after'), clock.now());
  throw new TransientError(
    `${what}: ${redact(answer.url)} answers ${status}`,
    pause === undefined ? {} : { retryAfterMs: pause },
  );
}

/** The failure when every attempt met a fault of the network or the service. */
export function gaveUp(what: string, last: TransientError): Failure {
  return failure('RC012', 3, `${what}: ${last.message}`, {
    help: 'the service is overloaded or out of reach; later runs try again',
    cause: last.cause,
  });
}

function refusal(refused: Rpc & { readonly kind: 'refused' }): Failure {
  const { status, say } = refused;
  if (status === 401 || status === 403)
    return failure('RC011', 3, say, {
      help: 'the token of the run has expired, or gives no right to this cache',
    });
  return failure('RC012', 3, say);
}
