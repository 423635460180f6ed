import { err, FailureError, failure, ok, type Result, soundBlob } from '../base/index.ts';
import {
  type HttpAnswer,
  type HttpRequest,
  judgeRedirect,
  TransientError,
  withRetries,
} from '../http/index.ts';
import { type Descriptor, parseReference, type Reference } from '../oci/index.ts';
import type { TransferProgress } from '../ports/index.ts';
import { type Client, ownEndpoint, pullScope, pushScope } from './client.ts';
import { statusFailure } from './errors.ts';
import type { Endpoint } from './hosts.ts';

interface Options {
  readonly signal: AbortSignal;
  readonly progress?: TransferProgress;
  readonly from?: readonly string[];
}

type Outcome = 'uploaded' | 'exists' | 'mounted';

/** Uploads a blob unless it is there, or another repository of the registry has it (distribution spec, "Pushing Blobs"). */
export async function uploadBlob(
  client: Client,
  ref: Reference,
  blob: Descriptor,
  options: Options,
): Promise<Result<Outcome>> {
  const upload = new Upload(client, ref, blob, options);
  const exists = await withRetries(client.retry, options.signal, () => upload.exists());
  if (!exists.ok) return exists;
  if (exists.value) return ok('exists');
  for (const from of options.from ?? []) {
    const mounted = await withRetries(client.retry, options.signal, () => upload.mount(from));
    if (!mounted.ok) return mounted;
    if (mounted.value) return ok('mounted');
  }
  if ((await client.content.size(blob.digest)) !== blob.size)
    return err(
      failure('RG015', 3, `blob ${blob.digest} is not in the store, so it cannot be sent`),
    );
  const sent = await withRetries(client.retry, options.signal, () => upload.send(), {
    progressed: () => Promise.resolve(upload.moved()),
  });
  return sent.ok ? ok('uploaded') : sent;
}

class Upload {
  readonly #client: Client;
  readonly #ref: Reference;
  readonly #blob: Descriptor;
  readonly #options: Options;
  readonly #endpoint: Endpoint;
  /** Where the upload goes on, once it has begun. */
  #location: URL | undefined;
  #sent = 0;
  #sentBefore = 0;
  #inParts: boolean;
  /** The location is of a mount that became an upload, and nothing was sent there. */
  #fresh = false;

  constructor(client: Client, ref: Reference, blob: Descriptor, options: Options) {
    this.#client = client;
    this.#ref = ref;
    this.#blob = blob;
    this.#options = options;
    this.#endpoint = ownEndpoint(client, ref);
    this.#inParts = blob.size > client.partBytes;
  }

  /** Whether an attempt got further than the one before. */
  moved(): boolean {
    const moved = this.#sent > this.#sentBefore;
    this.#sentBefore = this.#sent;
    return moved;
  }

  async exists(): Promise<Result<boolean>> {
    const request = this.#request('HEAD', this.#url(`blobs/${this.#blob.digest}`));
    const answer = await this.#ask(request);
    if (!answer.ok) return answer;
    const { status } = answer.value;
    // A registry that cannot be asked gets the blob.
    if (![200, 404, 405, 501].includes(status)) return await this.#refuse(request, answer.value);
    const size = answer.value.header('content-length');
    answer.value.drop();
    return ok(status === 200 && (size === undefined || Number(size) === this.#blob.size));
  }

  /** Asks to mount the blob from another repository; a registry that cannot opens an upload instead. */
  async mount(repository: string): Promise<Result<boolean>> {
    const from = parseReference(repository);
    if (!from.ok || from.value.domain !== this.#ref.domain || from.value.path === this.#ref.path)
      return ok(false);
    const url = this.#url('blobs/uploads/');
    url.searchParams.set('mount', this.#blob.digest);
    url.searchParams.set('from', from.value.path);
    const request = this.#request('POST', url);
    const answer = await this.#ask(request, [pullScope(from.value.path)]);
    // No right to read the other repository: that is no reason not to push.
    if (!answer.ok) return answer.error.code === 'RG002' ? ok(false) : answer;
    if (answer.value.status === 202) this.#fresh = this.#follow(answer.value, request.url);
    answer.value.drop();
    return ok(answer.value.status === 201);
  }

  async send(): Promise<Result<void>> {
    const opened = this.#location === undefined ? await this.#open() : await this.#resume();
    if (!opened.ok) return opened;
    if (this.#inParts) {
      const parts = await this.#parts();
      if (!parts.ok) return parts;
    }
    return await this.#finish();
  }

  async #open(): Promise<Result<void>> {
    this.#sent = 0;
    const request = this.#request('POST', this.#url('blobs/uploads/'));
    const answer = await this.#ask({ ...request, headers: { 'content-length': '0' } });
    if (!answer.ok) return answer;
    if (answer.value.status !== 202 || !this.#follow(answer.value, request.url)) {
      return await this.#refuse(request, answer.value);
    }
    answer.value.drop();
    return ok(undefined);
  }

  /** Asks how much of a broken upload arrived; one that is gone, or was to be sent at once, begins anew. */
  async #resume(): Promise<Result<void>> {
    if (!this.#inParts || this.#location === undefined || this.#sent === 0) {
      if (this.#fresh) {
        this.#fresh = false;
        return ok(undefined);
      }
      return await this.#open();
    }
    const request = this.#request('GET', this.#location);
    const answer = await this.#ask(request);
    if (!answer.ok) return answer;
    answer.value.drop();
    const range = /^(?:bytes=)?0-([0-9]+)$/.exec(answer.value.header('range') ?? '');
    const end = range === null ? 0 : Number(range[1]) + 1;
    if (answer.value.status !== 204 || end > this.#blob.size) return await this.#open();
    this.#follow(answer.value, this.#location);
    // Zero bytes are reported as 0-0, like one.
    this.#sent = end === 1 ? 0 : end;
    return end === 1 ? await this.#open() : ok(undefined);
  }

  async #parts(): Promise<Result<void>> {
    while (this.#sent < this.#blob.size && this.#location !== undefined) {
      const start = this.#sent;
      const end = Math.min(this.#blob.size, start + this.#client.partBytes);
      const request: HttpRequest = {
        ...this.#request('PATCH', this.#location),
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(end - start),
          'content-range': `${start}-${end - 1}`,
        },
        body: () => this.#bytes(start, end),
      };
      const answer = await this.#ask(request);
      if (!answer.ok) return answer;
      const { status } = answer.value;
      if (status === 416) {
        answer.value.drop();
        throw new TransientError(
          `PATCH of blob ${this.#blob.digest}: the registry has another part than was sent`,
        );
      }
      if ([400, 404, 405, 411, 413].includes(status)) {
        // A registry that takes no parts: everything at once.
        answer.value.drop();
        this.#inParts = false;
        return await this.#open();
      }
      if (status !== 202 || !this.#follow(answer.value, request.url))
        return await this.#refuse(request, answer.value);
      answer.value.drop();
      this.#sent = end;
    }
    return ok(undefined);
  }

  async #finish(): Promise<Result<void>> {
    if (this.#location === undefined) throw new Error('an upload ends before it began');
    const url = new URL(this.#location);
    url.searchParams.set('digest', this.#blob.digest);
    const size = this.#inParts ? 0 : this.#blob.size;
    const request: HttpRequest = {
      ...this.#request('PUT', url),
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      ...(size === 0 ? {} : { body: () => this.#bytes(0, size) }),
    };
    const answer = await this.#ask(request);
    if (!answer.ok) return answer;
    if (answer.value.status !== 201 && answer.value.status !== 204) {
      const { signal } = this.#options;
      // A registry finds other bytes than were promised: those here may be damaged.
      const sound =
        answer.value.status === 400
          ? await soundBlob(this.#client.content, this.#blob.digest, { signal })
          : ok(undefined);
      return sound.ok ? await this.#refuse(request, answer.value) : sound;
    }
    answer.value.drop();
    return ok(undefined);
  }

  async *#bytes(start: number, end: number): AsyncGenerator<Uint8Array> {
    const { signal, progress } = this.#options;
    let at = start;
    for await (const chunk of this.#client.content.stream(this.#blob.digest, { signal, start })) {
      const part = chunk.subarray(0, end - at);
      at += part.length;
      yield part;
      progress?.(at, this.#blob.size);
      if (at >= end) return;
    }
  }

  #follow(answer: HttpAnswer, base: URL): boolean {
    const location = answer.header('location');
    if (location === undefined) return false;
    const next = judgeRedirect(base, location);
    if (!next.ok)
      throw new FailureError(
        failure('RG008', 3, `upload of blob ${this.#blob.digest}: ${next.why}`),
      );
    this.#location = next.to;
    return true;
  }

  #url(below: string): URL {
    return new URL(`/v2/${this.#ref.path}/${below}`, this.#endpoint.base);
  }

  #request(method: HttpRequest['method'], url: URL): HttpRequest {
    return { method, url, signal: this.#options.signal };
  }

  async #ask(request: HttpRequest, more: readonly string[] = []): Promise<Result<HttpAnswer>> {
    const scopes = [pushScope(this.#ref.path), ...more];
    return await this.#client.session.send(request, { endpoint: this.#endpoint, scopes });
  }

  async #refuse(request: HttpRequest, answer: HttpAnswer): Promise<Result<never>> {
    if (answer.status < 300) {
      answer.drop();
      return err(
        failure(
          'RG004',
          3,
          `upload of blob ${this.#blob.digest}: the registry answers ${answer.status} where it must not, or without a usable location`,
        ),
      );
    }
    return err(await statusFailure(request, answer, this.#client.secrets));
  }
}
