import { lstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  type Digest,
  FailureError,
  failure,
  fsPath,
  Inflight,
  isErrno,
  sha256,
} from '../base/index.ts';
import { entryHeader, type FileEntry, type FileTree } from '../cachekey/index.ts';
import { identityOf, type LocalNode, sameIdentity } from './entry.ts';
import { hashFiles } from './hash-files.ts';
import { isSettled, type StatIndex } from './stat-index.ts';

/** Files are read in pieces of so many bytes. */
const PIECE = 1 << 20;

/** What a local tree is made of. */
export interface LocalTreeParts {
  /** Directory on disk. */
  readonly root: string;
  readonly nodes: ReadonlyMap<string, LocalNode>;
  readonly index: StatIndex;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
}

/** The tree of a walked directory. A file that changed after the walk is a failure where it is used, never a wrong key. */
export class LocalTree implements FileTree {
  readonly rootHeader = 'empty';
  readonly #root: string;
  readonly #nodes: ReadonlyMap<string, LocalNode>;
  readonly #index: StatIndex;
  readonly #now: () => bigint;
  readonly #inflight = new Inflight<'hash', void>();

  constructor(parts: LocalTreeParts) {
    this.#root = parts.root;
    this.#nodes = parts.nodes;
    this.#index = parts.index;
    this.#now = parts.now;
  }

  /** Number of entries, the root included. */
  get size(): number {
    return this.#nodes.size;
  }

  lstat(path: string): FileEntry | undefined {
    return this.#nodes.get(path)?.entry;
  }

  list(path: string): readonly string[] {
    return this.#nodes.get(path)?.names ?? [];
  }

  async digest(path: string, signal: AbortSignal): Promise<Digest> {
    const node = this.#node(path);
    if (node.digest === undefined) await this.hashAll(signal);
    return node.digest ?? missing(path);
  }

  async *read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const node = this.#node(path);
    if (node.entry.size === 0) return;
    const disk = this.#disk(path);
    await using file = await open(fsPath(disk), 'r');
    this.#mustBe(node, path, identityOf(await file.stat({ bigint: true })));
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead, buffer } = await file.read(
        Buffer.allocUnsafe(Math.min(PIECE, node.entry.size + 1)),
      );
      if (bytesRead === 0) break;
      yield buffer.subarray(0, bytesRead);
    }
    this.#mustBe(node, path, identityOf(await file.stat({ bigint: true })));
  }

  diskPath(path: string): string | undefined {
    const node = this.#node(path);
    const disk = this.#disk(path);
    try {
      const stat = lstatSync(fsPath(disk), { bigint: true });
      if (stat.isSocket()) return undefined;
      this.#mustBe(node, path, identityOf(stat));
    } catch (e) {
      if (isErrno(e, 'ENOENT')) throw changed(path);
      throw e;
    }
    return disk;
  }

  /** Makes every digest known: from the index, or by reading. Waiters share the work. */
  async hashAll(signal: AbortSignal, progress?: (bytes: number) => void): Promise<void> {
    await this.#inflight.do('hash', signal, (shared) => this.#hashMissing(shared, progress));
  }

  async #hashMissing(signal: AbortSignal, progress?: (bytes: number) => void): Promise<void> {
    const started = this.#now();
    const files: { readonly path: string; readonly node: LocalNode }[] = [];
    for (const [path, node] of this.#nodes) {
      node.digest ??= this.#index.find(node.identity);
      if (node.digest !== undefined) continue;
      if (node.entry.type === 'file' && node.entry.size > 0) files.push({ path, node });
      else this.#set(node, sha256(entryHeader(node.entry)), started);
    }
    const jobs = files.map(({ path, node }) => ({
      path: this.#disk(path),
      header: entryHeader(node.entry),
      size: node.entry.size,
      identity: node.identity,
      done: (digest: Digest | undefined): void => {
        if (digest === undefined) throw changed(path);
        this.#set(node, digest, started);
      },
    }));
    await hashFiles(jobs, { signal, ...(progress === undefined ? {} : { progress }) });
  }

  #set(node: LocalNode, digest: Digest, readAt: bigint): void {
    node.digest = digest;
    if (isSettled(node.identity, readAt)) this.#index.add(node.identity, digest);
  }

  #node(path: string): LocalNode {
    return this.#nodes.get(path) ?? missing(path);
  }

  #disk(path: string): string {
    return path === '/' ? this.#root : `${this.#root}${path}`;
  }

  #mustBe(node: LocalNode, path: string, now: LocalNode['identity']): void {
    if (!sameIdentity(node.identity, now)) throw changed(path);
  }
}

function missing(path: string): never {
  throw new Error(`no entry ${path} in the local tree`);
}

function changed(path: string): FailureError {
  return new FailureError(
    failure('CX005', 3, `${path.slice(1)} changed while the build was reading the context`, {
      help: 'build again when nothing writes to the context, or exclude the file in .dockerignore',
    }),
  );
}
