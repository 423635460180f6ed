import { createHash } from 'node:crypto';
import { closeSync, fchmodSync, fchownSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Digest,
  digestOfHex,
  err,
  failure,
  fsPath,
  goJson,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
  withoutCredentials,
} from '../base/index.ts';
import { httpSourceKey, sourceKey } from '../cachekey/index.ts';
import type { SourceOp } from '../llb/index.ts';
import type {
  CacheMap,
  Clock,
  ContentStore,
  HttpFiles,
  HttpValidators,
  MemoDb,
  OpContext,
  OpDriver,
  OpResult,
  Snapshotter,
} from '../ports/index.ts';
import { setTimes } from '../sys/index.ts';
import type { ExecSecrets } from './exec-mounts.ts';
import type { SourceMemory } from './source-memory.ts';
import { shownUrl } from './source-url.ts';

/** What downloads as ops need. */
export interface HttpDriverDeps {
  readonly http: HttpFiles;
  readonly remembered: SourceMemory;
  readonly memo: MemoDb;
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly secrets: ExecSecrets;
  readonly clock: Clock;
}

/** Whether a source op is a download. */
export function isHttpSource(source: SourceOp): boolean {
  return /^https?:\/\//.test(source.identifier);
}

/**
 * The driver of `http://` and `https://` (BuildKit source/http): known by the digest of the file, its name and its time. What
 * was downloaded before is asked for on condition that it changed; with a checksum nothing is asked before it is needed.
 */
export function createHttpDriver(source: SourceOp, deps: HttpDriverDeps): OpDriver {
  const driver = new HttpDriver(source, deps);
  return {
    cacheMap: (context) => driver.cacheMap(context),
    contentKey: () => {
      throw new Error('a source has no inputs');
    },
    run: (context) => driver.run(context),
  };
}

/** A file as it was last downloaded. */
interface KnownFile extends HttpValidators {
  readonly digest: Digest;
  readonly size: number;
  readonly filename?: string;
}

const MEMO = 'http';

class HttpDriver {
  readonly #url: string;
  /** What is known of the file is kept under its address without user and password; the server says what they get of it. */
  readonly #known: string;
  readonly #attrs: Readonly<Record<string, string>>;
  readonly #deps: HttpDriverDeps;

  constructor(source: SourceOp, deps: HttpDriverDeps) {
    this.#url = source.identifier;
    this.#known = withoutCredentials(source.identifier);
    this.#attrs = source.attrs;
    this.#deps = deps;
  }

  async cacheMap(context: OpContext): Promise<Result<CacheMap>> {
    const checksum = this.#checksum();
    if (checksum !== undefined) return ok(this.#map({ digest: checksum, size: 0 }, false));
    const file = await this.#current(context, 'revalidate');
    return file.ok ? ok(this.#map(file.value, true)) : file;
  }

  #map(file: KnownFile, dated: boolean): CacheMap {
    const secret = this.#attrs['http.authheadersecret'];
    const key = httpSourceKey({
      filename: this.#filename(file),
      perm: this.#number('http.perm', 8),
      uid: this.#number('http.uid', 10),
      gid: this.#number('http.gid', 10),
      checksum: file.digest,
      ...(dated && file.lastModified !== undefined ? { lastModified: file.lastModified } : {}),
      ...(secret === undefined ? {} : { authHeaderSecret: secret }),
    });
    return { digest: sourceKey(key), deps: [], describes: file.digest };
  }

  async run(context: OpContext): Promise<Result<readonly OpResult[]>> {
    const file = await this.#current(context, 'revalidate-unless-known');
    if (!file.ok) return file;
    const checksum = this.#checksum();
    if (checksum !== undefined && file.value.digest !== checksum) {
      return err(
        failure(
          'SR004',
          3,
          `digest mismatch for ${shownUrl(this.#url)}: ${file.value.digest} (expected: ${checksum})`,
          { help: 'the file is another one: check it, and the checksum' },
        ),
      );
    }
    const { snapshotter, clock } = this.#deps;
    await using layer = await snapshotter.begin([]);
    const written = await this.#write(file.value, layer.upper, context.signal);
    if (!written.ok) return written;
    return ok([[await layer.commit({ createdAt: clock.now() })]]);
  }

  /** The file as the server has it now; its bytes are in the content store. */
  async #current(
    context: OpContext,
    how: 'revalidate' | 'revalidate-unless-known',
  ): Promise<Result<KnownFile>> {
    const { remembered, content } = this.#deps;
    const secret = this.#attrs['http.authheadersecret'] ?? '';
    return await remembered.once(`http ${secret} ${this.#url}`, context.signal, async (signal) => {
      const memo = this.#recall();
      const known =
        memo !== undefined && (await content.size(memo.digest)) === memo.size ? memo : undefined;
      if (
        how === 'revalidate-unless-known' &&
        known?.digest === this.#checksum() &&
        known !== undefined
      )
        return ok(known);
      return await this.#download(known, { ...context, signal });
    });
  }

  async #download(known: KnownFile | undefined, context: OpContext): Promise<Result<KnownFile>> {
    const { http, memo, clock, secrets } = this.#deps;
    const secret = this.#attrs['http.authheadersecret'];
    const header = secret === undefined ? undefined : await secrets.secret(secret, context.signal);
    const report = (current: number, total: number | undefined, completed: boolean): void =>
      context.emit({
        type: 'status',
        vertex: context.vertex.digest,
        id: `downloading ${shownUrl(this.#url)}`,
        at: clock.now(),
        current,
        ...(total === undefined ? {} : { total }),
        completed,
      });
    let reported = clock.now();
    const got = await http.fetch(this.#url, {
      signal: context.signal,
      ...(known === undefined ? {} : { validators: known }),
      ...(header === undefined
        ? {}
        : { authorization: Buffer.from(header).toString('utf8').trim() }),
      progress: (current, total) => {
        if (clock.now() - reported < REPORT_MS) return;
        reported = clock.now();
        report(current, total, false);
      },
    });
    if (!got.ok) return got;
    if (got.value.kind === 'unchanged') {
      if (known === undefined) throw new Error('a request without a condition was answered by 304');
      return ok(known);
    }
    const { kind: _kind, ...file } = got.value;
    report(file.size, file.size, true);
    memo.set(MEMO, this.#known, Buffer.from(goJson({ ...file })));
    return ok(file);
  }

  #recall(): KnownFile | undefined {
    const bytes = this.#deps.memo.get(MEMO, this.#known);
    const parsed = bytes === undefined ? undefined : parseJson(Buffer.from(bytes).toString('utf8'));
    if (parsed?.ok !== true || !isRecord(parsed.value)) return undefined;
    const { digest, size, etag, lastModified, filename } = parsed.value;
    const known = typeof digest === 'string' ? parseDigest(digest) : undefined;
    if (known === undefined || typeof size !== 'number') return undefined;
    return {
      digest: known,
      size,
      ...(typeof etag === 'string' ? { etag } : {}),
      ...(typeof lastModified === 'string' ? { lastModified } : {}),
      ...(typeof filename === 'string' ? { filename } : {}),
    };
  }

  /** Copies the blob, checking it on the way. */
  async #write(file: KnownFile, dir: string, signal: AbortSignal): Promise<Result<void>> {
    const { content, memo } = this.#deps;
    const path = join(dir, fsPath(this.#filename(file)).toString());
    const hash = createHash('sha256');
    const fd = openSync(path, 'wx', 0o600);
    try {
      for await (const chunk of content.stream(file.digest, { signal })) {
        hash.update(chunk);
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      }
      fchownSync(fd, this.#number('http.uid', 10), this.#number('http.gid', 10));
      fchmodSync(fd, this.#number('http.perm', 8) || DEFAULT_MODE);
    } finally {
      closeSync(fd);
    }
    if (digestOfHex(hash.digest('hex')) !== file.digest) {
      await content.quarantine(file.digest, 'its bytes have another digest');
      memo.set(MEMO, this.#known, new Uint8Array());
      return err(
        failure(
          'ST014',
          3,
          `blob ${file.digest} is damaged on disk; it was moved to the quarantine`,
          {
            help: 'run the command again: it is downloaded anew',
          },
        ),
      );
    }
    const mtimeNs = modified(file);
    setTimes(path, { atimeNs: mtimeNs, mtimeNs });
    setTimes(dir, { atimeNs: mtimeNs, mtimeNs });
    return ok(undefined);
  }

  #checksum(): Digest | undefined {
    return parseDigest(this.#attrs['http.checksum'] ?? '');
  }

  #filename(file: Pick<KnownFile, 'filename'>): string {
    const asked = this.#attrs['http.filename'];
    if (asked !== undefined && asked !== '' && !asked.includes('/')) return asked;
    return file.filename ?? (new URL(this.#url).pathname.split('/').at(-1) || 'download');
  }

  #number(attr: string, base: number): number {
    const value = Number.parseInt(this.#attrs[attr] ?? '0', base);
    return Number.isNaN(value) ? 0 : value;
  }
}

const DEFAULT_MODE = 0o600;
const REPORT_MS = 100;

/** Nanoseconds since 1970 of Last-Modified; 1970 without one. */
function modified({ lastModified }: HttpValidators): bigint {
  const time = Date.parse(lastModified ?? '');
  return Number.isNaN(time) || time < 0 ? 0n : BigInt(time) * 1_000_000n;
}
