import { setTimeout as delay } from 'node:timers/promises';
import { err, failure, ok, type Result } from '../../base/index.ts';
import {
  bodyFrom,
  downloadInto,
  type HttpAnswer,
  type HttpClient,
  type RetryPolicy,
  readCapped,
  TransientError,
  withRetries,
} from '../../http/index.ts';
import type { Descriptor } from '../../oci/index.ts';
import type { Clock, ContentStore, TransferProgress } from '../../ports/index.ts';
import { type Source, uploadBlockBlob } from './block-blob.ts';
import type { GhaAccount } from './place.ts';
import { GhaService, gaveUp, refuseTransient } from './service.ts';
import { within } from './within.ts';

/** What entries are read and written with. */
export interface EntriesDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly content: ContentStore;
  readonly retry: RetryPolicy;
  /** Pause before a name that another writer holds is asked for again. */
  readonly busyPauseMs: number;
  readonly blockBytes?: number;
}

/** A name that another writer holds is passed over after so many pauses: its writer has died (go-actions-cache waits as long). */
const BUSY_PAUSES = 8;

/** The entries of one repository's cache: written once, found by key or prefix, gone at any time. */
export class Entries {
  readonly #deps: EntriesDeps;
  readonly #account: GhaAccount;
  readonly #service: GhaService;
  /** Addresses by key; they serve until one is refused. */
  readonly #urls = new Map<string, URL>();

  constructor(deps: EntriesDeps, account: GhaAccount) {
    this.#deps = deps;
    this.#account = account;
    this.#service = new GhaService(deps, account);
  }

  async has(key: string, signal: AbortSignal): Promise<Result<boolean>> {
    const url = await this.#urlOf(key, signal);
    return url.ok ? ok(url.value !== undefined) : url;
  }

  /** Writes an entry unless its key is taken. */
  async save(
    key: string,
    source: Source,
    options: { readonly signal: AbortSignal; readonly progress?: (sent: number) => void },
  ): Promise<Result<'written' | 'exists'>> {
    const made = await this.#service.create(key, options.signal);
    if (!made.ok) return made;
    if (made.value.kind === 'exists') return ok('exists');
    const { url } = made.value;
    const sent = await uploadBlockBlob(this.#deps, url, source, options);
    if (!sent.ok) return sent;
    const done = await this.#service.finish(key, source.size, options.signal);
    return done.ok ? ok('written') : done;
  }

  /**
   * Writes the next entry of a numbered name. A number that another writer holds is waited for, so that what it writes is
   * not overtaken by something older.
   */
  async saveNext(name: string, source: Source, signal: AbortSignal): Promise<Result<void>> {
    for (let paused = 0, skip = 0; ; ) {
      const last = await this.#service.find(`${name}#`, [`${name}#`], signal);
      if (!last.ok) return last;
      const number = /#([0-9]{1,9})$/.exec(last.value?.key ?? '')?.[1] ?? '0';
      const key = `${name}#${Number(number) + 1 + skip}`;
      const saved = await this.save(key, source, { signal });
      if (!saved.ok) return saved;
      if (saved.value === 'written') return ok(undefined);
      if (paused < BUSY_PAUSES) {
        paused++;
        await delay(this.#deps.busyPauseMs, undefined, { signal });
      } else skip++;
    }
  }

  /** The newest entry of a numbered name; undefined when there is none (any more). */
  async readLatest(
    name: string,
    options: { readonly signal: AbortSignal; readonly maxBytes: number },
  ): Promise<Result<Uint8Array | undefined>> {
    const { signal, maxBytes } = options;
    const found = await this.#service.find(`${name}#`, [`${name}#`], signal);
    if (!found.ok || found.value === undefined) return found.ok ? ok(undefined) : found;
    const { url, key } = found.value;
    return await this.#within(key, signal, async (bounded) => {
      const answer = await this.#get(url, {}, bounded);
      if (answer.status === 404) {
        answer.drop();
        return ok(undefined);
      }
      if (answer.status !== 200) return err(unreadable(key, answer));
      const bytes = await readCapped(answer, maxBytes);
      return bytes === undefined
        ? err(failure('RC004', 3, `the entry ${key} has more than ${maxBytes} bytes`))
        : ok(bytes);
    });
  }

  /** Downloads a blob that is an entry, or a part of one, into the content store. */
  async pull(
    at: { readonly key: string; readonly offset?: number },
    blob: Descriptor,
    options: { readonly signal: AbortSignal; readonly progress?: TransferProgress },
  ): Promise<Result<void>> {
    const { key } = at;
    const offset = at.offset;
    let refused = false;
    return await downloadInto(this.#deps.content, blob, {
      ...options,
      retry: this.#deps.retry,
      damaged: (why) => failure('RC013', 3, `the entry ${key} is damaged: ${why.message}`),
      gaveUp: (last) => gaveUp(key, last),
      open: async (start) => {
        const url = await this.#urlOf(key, options.signal);
        if (!url.ok) return url;
        if (url.value === undefined) return err(gone(key));
        const from = start + (offset ?? 0);
        const end = offset === undefined ? '' : String(offset + blob.size - 1);
        const range = from > 0 || end !== '' ? { range: `bytes=${from}-${end}` } : undefined;
        const answer = await this.#get(url.value, range ?? {}, options.signal);
        // The whole entry for a part of it is no more use than another range.
        const body = answer.status === 200 && end !== '' ? undefined : bodyFrom(answer, from);
        if (body !== undefined && body !== 'other-range') return ok(body);
        this.#urls.delete(key);
        if (answer.status === 404) {
          answer.drop();
          return err(gone(key));
        }
        // Addresses expire: a new one is asked for, once.
        if ((answer.status === 401 || answer.status === 403) && !refused) {
          refused = true;
          answer.drop();
          throw new TransientError(`the address of ${key} is not accepted any more`);
        }
        return err(unreadable(key, answer));
      },
    });
  }

  async #urlOf(key: string, signal: AbortSignal): Promise<Result<URL | undefined>> {
    const known = this.#urls.get(key);
    if (known !== undefined) return ok(known);
    const found = await this.#service.find(key, [], signal);
    if (!found.ok) return found;
    // A server that takes keys for prefixes found something else.
    const url = found.value?.key === key ? found.value.url : undefined;
    if (url !== undefined) this.#urls.set(key, url);
    return ok(url);
  }

  async #within<T>(
    what: string,
    signal: AbortSignal,
    attempt: (bounded: AbortSignal) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    const { timeoutMs } = this.#account;
    return await within({ signal, timeoutMs, what }, (bounded) =>
      withRetries(this.#deps.retry, bounded, () => attempt(bounded), {
        gaveUp: (last) => gaveUp(what, last),
      }),
    );
  }

  async #get(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const answer = await this.#deps.http.send(
      { method: 'GET', url, headers, signal },
      { base: url, config: {} },
    );
    refuseTransient(answer, 'download', this.#deps.clock);
    return answer;
  }
}

function gone(key: string): ReturnType<typeof failure> {
  return failure('RC010', 3, `the cache service has no entry ${key} (any more)`);
}

function unreadable(key: string, answer: HttpAnswer): ReturnType<typeof failure> {
  answer.drop();
  return failure('RC012', 3, `the entry ${key}: the storage answers ${answer.status}`);
}
