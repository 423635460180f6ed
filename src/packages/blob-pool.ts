import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type Digest,
  digestOfHex,
  err,
  failure,
  hexOf,
  isErrno,
  noteUse,
  ok,
  type Result,
  writeAll,
} from '../base/index.ts';
import type { TransferProgress, WorkLocks } from '../ports/index.ts';
import { type Answer, type Fetcher, refuseStatus, unreachableUrl } from './http.ts';

/** A file that signed metadata promises. */
export interface WantedBlob {
  readonly sha256: Digest;
  readonly size: number;
  /** What to call it in messages: `libc6 2.36-9 (amd64)`. */
  readonly name: string;
  /** Where it can be had, best first; empty when only the store may be asked. */
  readonly urls: readonly string[];
}

interface FetchOptions {
  readonly signal: AbortSignal;
  readonly progress?: TransferProgress;
}

/** Told when an entry of the store was found broken and moved aside. */
export type DamageSink = (damage: { readonly name: string; readonly path: string }) => void;

/**
 * Files by SHA-256 below `<root>/<first two digits>/<digest>`. Nothing is believed because it is there: size and digest are
 * checked when a file comes in and again each time it is used.
 */
export class BlobPool {
  readonly #root: string;
  readonly #fetcher: Fetcher;
  readonly #locks: WorkLocks;
  readonly #onDamage: DamageSink;

  constructor(deps: {
    readonly root: string;
    readonly fetcher: Fetcher;
    readonly locks: WorkLocks;
    readonly onDamage: DamageSink;
  }) {
    this.#root = deps.root;
    this.#fetcher = deps.fetcher;
    this.#locks = deps.locks;
    this.#onDamage = deps.onDamage;
  }

  /** Where a file lies, whether it is there or not. */
  path(digest: Digest): string {
    const hex = hexOf(digest);
    return join(this.#root, hex.slice(0, 2), hex);
  }

  /** The verified path of a file, fetched when needed. PK003: not here and nowhere to get it; PK040: not what was promised. */
  async obtain(wanted: WantedBlob, options: FetchOptions): Promise<Result<string>> {
    if (await this.#holds(wanted)) return ok(this.path(wanted.sha256));
    await using _lock = await this.#locks.lock(`package:${wanted.sha256}`, options.signal);
    if (await this.#holds(wanted)) return ok(this.path(wanted.sha256));
    let last = err(
      failure('PK003', 3, `${wanted.name} is not in the store`, {
        help: 'build once with a network, or import the packages of another machine',
      }),
    );
    for (const url of wanted.urls) {
      const fetched = await this.#fetch(url, wanted, options);
      if (fetched.ok) return fetched;
      last = fetched;
    }
    return last;
  }

  /**
   * Makes something of a file whose place it takes, one process at a time: `known` is what another has made meanwhile, `make` uses the
   * file. The file is removed afterwards, which nobody else may be about to read.
   */
  async replace<T>(
    wanted: WantedBlob,
    options: FetchOptions,
    known: () => Promise<T | undefined>,
    make: (path: string) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    await using _lock = await this.#locks.lock(`index:${wanted.sha256}`, options.signal);
    const meanwhile = await known();
    if (meanwhile !== undefined) return ok(meanwhile);
    const got = await this.obtain(wanted, options);
    if (!got.ok) return got;
    const made = await make(got.value);
    if (made.ok) await rm(got.value, { force: true });
    return made;
  }

  /** Checks an entry; one that does not hold is moved to `quarantine/` and reported. */
  async #holds(wanted: WantedBlob): Promise<boolean> {
    const path = this.path(wanted.sha256);
    const actual = await hashFile(path);
    if (actual === undefined) return false;
    if (actual.size === wanted.size && actual.digest === wanted.sha256) {
      await noteUse(path);
      return true;
    }
    const aside = join(
      this.#root,
      'quarantine',
      `${hexOf(wanted.sha256)}-${hexOf(actual.digest).slice(0, 16)}`,
    );
    await mkdir(dirname(aside), { recursive: true });
    try {
      await rename(path, aside);
    } catch (e) {
      // Another process moved it first.
      if (!isErrno(e, 'ENOENT')) throw e;
      return false;
    }
    this.#onDamage({ name: wanted.name, path: aside });
    return false;
  }

  async #fetch(url: string, wanted: WantedBlob, options: FetchOptions): Promise<Result<string>> {
    const partial = join(this.#root, 'partial', hexOf(wanted.sha256));
    await mkdir(dirname(partial), { recursive: true });
    const first = await this.#attempt(url, wanted, { ...options, partial });
    // A resumed file may have begun with bytes of something else: once more from the start.
    if (first.ok || first.error.code !== 'PK040' || !first.error.message.includes('resumed'))
      return first;
    return await this.#attempt(url, wanted, { ...options, partial });
  }

  async #attempt(
    url: string,
    wanted: WantedBlob,
    options: FetchOptions & { readonly partial: string },
  ): Promise<Result<string>> {
    const { partial, signal } = options;
    const received = await this.#fetcher.get(
      url,
      { signal },
      async (answer) => await receive(answer, url, { wanted, ...options }),
      async () => await resumePoint(partial, wanted.size),
    );
    if (!received.ok) return received;
    const actual = await hashFile(partial);
    if (actual?.size === wanted.size && actual.digest === wanted.sha256) {
      await mkdir(dirname(this.path(wanted.sha256)), { recursive: true });
      await rename(partial, this.path(wanted.sha256));
      return ok(this.path(wanted.sha256));
    }
    await rm(partial, { force: true });
    const how = received.value.resumed ? ' (resumed)' : '';
    return err(
      failure(
        'PK040',
        3,
        `${wanted.name} from ${unreachableUrl(url, '').message.slice(4, -2)} is not the file that the signed index names${how}`,
        {
          help: 'the mirror is broken, out of step or hostile; try another mirror',
          details: [
            `expected ${wanted.sha256}, ${wanted.size} bytes`,
            `received ${actual?.digest ?? 'nothing'}, ${actual?.size ?? 0} bytes`,
          ],
        },
      ),
    );
  }
}

/** How much of an interrupted download is there; a partial file that cannot be right is dropped. */
async function resumePoint(partial: string, size: number): Promise<number> {
  try {
    const info = await stat(partial);
    if (info.size < size) return info.size;
    await rm(partial, { force: true });
    return 0;
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return 0;
    throw e;
  }
}

async function receive(
  answer: Answer,
  url: string,
  options: FetchOptions & { readonly partial: string; readonly wanted: WantedBlob },
): Promise<Result<{ readonly resumed: boolean }>> {
  const { wanted, partial } = options;
  const accepted = refuseStatus(url, answer.status);
  if (!accepted.ok) {
    // A range the server will not serve: what is there is longer than its file.
    if (answer.status === 416) await rm(partial, { force: true });
    return accepted;
  }
  const resumed = answer.start > 0;
  let at = answer.start;
  await using file = await open(partial, resumed ? 'r+' : 'w');
  for await (const chunk of answer.body) {
    if (at + chunk.length > wanted.size) {
      // Longer than promised: the digest cannot hold, and nothing more of it is taken.
      await file.truncate(0);
      return err(tooLong(wanted, url));
    }
    await writeAll(file, chunk, at);
    at += chunk.length;
    options.progress?.(at, wanted.size);
  }
  await file.sync();
  return ok({ resumed });
}

const tooLong = (wanted: WantedBlob, url: string) =>
  failure(
    'PK040',
    3,
    `${wanted.name} from ${unreachableUrl(url, '').message.slice(4, -2)} is longer than the signed index says (${wanted.size} bytes)`,
    { help: 'the mirror is broken, out of step or hostile; try another mirror' },
  );

/** Size and digest of a file, or undefined when absent. */
async function hashFile(
  path: string,
): Promise<{ readonly digest: Digest; readonly size: number } | undefined> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      // A file stream without encoding yields buffers.
      const bytes = chunk as Uint8Array;
      hash.update(bytes);
      size += bytes.length;
    }
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
  return { digest: digestOfHex(hash.digest('hex')), size };
}
