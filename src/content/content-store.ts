import { createReadStream, readFileSync, statSync } from 'node:fs';
import { mkdir, opendir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Digest,
  digestOfHex,
  err,
  FailureError,
  failure,
  hexOf,
  isErrno,
  makeDirectory,
  noteUse,
  ok,
  type Result,
  sha256,
  sweepTemporaries,
  writeAtomically,
} from '../base/index.ts';
import type { Blob, ContentStore, IngestOptions } from '../ports/index.ts';
import { storeFailure } from './failures.ts';
import { ingestBlob, sizeOf } from './ingest.ts';
import { partialLength, sweepIngest } from './partials.ts';

const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

/**
 * Opens the content store in `root`, an OCI image layout (image-spec, image-layout.md): `oci-layout`, `index.json`,
 * `blobs/sha256/`, and beside them `ingest/` (what is arriving) and `quarantine/` (what failed verification).
 * Nothing is touched before the first use; directories are made by the first write.
 */
export function createContentStore(root: string): ContentStore {
  return new DiskContentStore(root);
}

class DiskContentStore implements ContentStore {
  readonly root: string;
  readonly #blobs: string;
  readonly #ingest: string;
  readonly #promised = new Map<string, number>();
  #layout: Promise<void> | undefined;

  constructor(root: string) {
    this.root = root;
    this.#blobs = join(root, 'blobs', 'sha256');
    this.#ingest = join(root, 'ingest');
  }

  path(digest: Digest): string {
    return join(this.#blobs, hexOf(digest));
  }

  async size(digest: Digest): Promise<number | undefined> {
    return await Promise.resolve(sizeOf(this.path(digest)));
  }

  async read(digest: Digest, options: { readonly maxBytes: number }): Promise<Result<Uint8Array>> {
    const path = this.path(digest);
    try {
      // What is read whole is small: a thread that reads it would take longer.
      const { size } = statSync(path);
      if (size > options.maxBytes) {
        return err(
          failure(
            'ST012',
            3,
            `blob ${digest} has ${size} bytes, more than the ${options.maxBytes} allowed here`,
          ),
        );
      }
      const bytes = readFileSync(path);
      if (sha256(bytes) === digest) return ok(bytes);
      await this.quarantine(digest, 'its bytes have another digest');
      return err(
        failure('ST014', 3, `blob ${digest} is damaged on disk; it was moved to the quarantine`, {
          help: 'run the command again: it is fetched or made anew',
        }),
      );
    } catch (e) {
      if (isErrno(e, 'ENOENT')) return err(missing(digest));
      const known = storeFailure(e, `reading blob ${digest}`);
      if (known !== undefined) return err(known);
      throw new Error(`reading blob ${digest}`, { cause: e });
    }
  }

  async *stream(
    digest: Digest,
    options: { readonly signal: AbortSignal; readonly start?: number; readonly length?: number },
  ): AsyncIterable<Uint8Array> {
    const { signal, start = 0, length } = options;
    const source = createReadStream(this.path(digest), {
      highWaterMark: 1 << 20,
      start,
      ...(length === undefined ? {} : { end: start + length - 1 }),
      signal,
    });
    try {
      // A byte stream without an encoding yields buffers.
      for await (const chunk of source) yield chunk as Buffer;
    } catch (e) {
      options.signal.throwIfAborted();
      if (isErrno(e, 'ENOENT')) throw new FailureError(missing(digest));
      const known = storeFailure(e, `reading blob ${digest}`);
      throw known === undefined
        ? new Error(`reading blob ${digest}`, { cause: e })
        : new FailureError(known);
    }
  }

  async ingest(data: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Result<Blob>> {
    options.signal.throwIfAborted();
    if (options.digest !== undefined) {
      const size = await this.size(options.digest);
      if (size !== undefined && (options.size === undefined || options.size === size)) {
        await noteUse(this.path(options.digest));
        await data[Symbol.asyncIterator]().return?.();
        return ok({ digest: options.digest, size });
      }
    }
    const ready = await this.#prepare(`writing blob ${options.digest ?? '(new)'}`);
    if (!ready.ok) return ready;
    try {
      return await ingestBlob(
        data,
        {
          ingestDir: this.#ingest,
          pathOf: (digest) => this.path(digest),
          promised: (key) => this.#promised.get(key),
        },
        options,
      );
    } finally {
      if (options.partialKey !== undefined) this.#promised.delete(options.partialKey);
    }
  }

  async partial(partialKey: string): Promise<number> {
    const length = await partialLength(this.#ingest, partialKey);
    this.#promised.set(partialKey, length);
    return length;
  }

  async put(bytes: Uint8Array): Promise<Digest> {
    const digest = sha256(bytes);
    if ((await this.size(digest)) === bytes.length) {
      await noteUse(this.path(digest));
      return digest;
    }
    const ready = await this.#prepare(`writing blob ${digest}`);
    if (!ready.ok) throw new FailureError(ready.error);
    try {
      await writeAtomically(this.path(digest), bytes);
    } catch (e) {
      const known = storeFailure(e, `writing blob ${digest}`);
      throw known === undefined
        ? new Error(`writing blob ${digest}`, { cause: e })
        : new FailureError(known);
    }
    return digest;
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  async quarantine(digest: Digest, why: string): Promise<void> {
    const dir = join(this.root, 'quarantine');
    await mkdir(dir, { recursive: true });
    try {
      await rename(this.path(digest), join(dir, hexOf(digest)));
    } catch (e) {
      // Another process has moved it.
      if (isErrno(e, 'ENOENT')) return;
      throw new Error(`moving blob ${digest} to the quarantine`, { cause: e });
    }
    await writeAtomically(join(dir, `${hexOf(digest)}.why`), `${why}\n`);
  }

  async *list(): AsyncIterable<Blob> {
    let dir: Awaited<ReturnType<typeof opendir>>;
    try {
      dir = await opendir(this.#blobs);
    } catch (e) {
      if (isErrno(e, 'ENOENT')) return;
      throw e;
    }
    for await (const entry of dir) {
      if (!/^[0-9a-f]{64}$/.test(entry.name)) continue;
      // A store has tens of thousands: asked one after another, they are told sooner without a thread.
      const size = statSync(join(this.#blobs, entry.name), { throwIfNoEntry: false })?.size;
      if (size !== undefined) yield { digest: digestOfHex(entry.name), size };
    }
  }

  /** Makes directories and the layout file, once. */
  async #prepare(doing: string): Promise<Result<void>> {
    this.#layout ??= this.#makeLayout();
    try {
      await this.#layout;
      return ok(undefined);
    } catch (e) {
      this.#layout = undefined;
      const known = storeFailure(e, doing);
      if (known !== undefined) return err(known);
      throw new Error(`making the content store ${this.root}`, { cause: e });
    }
  }

  async #makeLayout(): Promise<void> {
    makeDirectory(this.#blobs);
    makeDirectory(this.#ingest);
    if (sizeOf(join(this.root, 'oci-layout')) !== LAYOUT.length) {
      await writeAtomically(join(this.root, 'oci-layout'), LAYOUT);
    }
    if (sizeOf(join(this.root, 'index.json')) === undefined) {
      await writeAtomically(join(this.root, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
    }
  }
}

/** Removes files of downloads that nobody resumed for `olderThanMs`, and what was never finished; returns how many. */
export async function sweepContent(
  root: string,
  options: { readonly olderThanMs: number; readonly now: number },
): Promise<number> {
  let removed = await sweepIngest(join(root, 'ingest'), options.olderThanMs, options.now);
  for (const dir of ['', 'blobs/sha256', 'quarantine'])
    removed += await sweepTemporaries(join(root, dir), options);
  return removed;
}

function missing(digest: Digest): ReturnType<typeof failure> {
  return failure('ST013', 3, `blob ${digest} is not in the store`);
}
