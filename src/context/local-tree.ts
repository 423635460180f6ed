import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  type Digest,
  digestOfHex,
  FailureError,
  failure,
  fsPath,
  Inflight,
  isErrno,
  sha256,
} from '../base/index.ts';
import { entryHeader, type FileEntry, type FileTree } from '../cachekey/index.ts';
import type { LocalNode } from './entry.ts';
import { type HashJob, hashFiles } from './hash-files.ts';
import { readHashed } from './hash-open-file.ts';
import type { FileIdentity, Identities } from './identity.ts';
import { isSettled, type StatIndex } from './stat-index.ts';

/** Files are read in pieces of so many bytes. */
const PIECE = 1 << 20;
/** Files and headers up to this together are read in one call. */
const AT_ONCE = 512 * 1024;

/** What a local tree is made of. */
export interface LocalTreeParts {
  /** Directory on disk. */
  readonly root: string;
  readonly nodes: ReadonlyMap<string, LocalNode>;
  readonly identities: Identities;
  readonly index: StatIndex;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
}

/** The tree of a walked directory. A file that changed after the walk is a failure where it is used, never a wrong key. */
export class LocalTree implements FileTree {
  readonly rootHeader = 'empty';
  readonly #root: string;
  readonly #nodes: ReadonlyMap<string, LocalNode>;
  readonly #identities: Identities;
  readonly #index: StatIndex;
  readonly #now: () => bigint;
  readonly #inflight = new Inflight<'hash', void>();
  #buffer: Buffer | undefined;

  constructor(parts: LocalTreeParts) {
    this.#root = parts.root;
    this.#nodes = parts.nodes;
    this.#identities = parts.identities;
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

  knownDigest(path: string): Digest | undefined {
    return this.#nodes.get(path)?.digest;
  }

  readNow(path: string): Uint8Array | undefined {
    const { entry, digest } = this.#node(path);
    if (entry.type !== 'file' || digest === undefined) return undefined;
    const header = entryHeader(entry);
    if (header.length + entry.size >= AT_ONCE) return undefined;
    this.#buffer ??= Buffer.allocUnsafe(AT_ONCE);
    const fd = this.#open(path);
    try {
      const read = readHashed(fd, { header, size: entry.size }, this.#buffer);
      if (read === undefined || digestOfHex(read.hex) !== digest) throw changed(path);
      return read.data;
    } finally {
      closeSync(fd);
    }
  }

  async *read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const node = this.#node(path);
    if (node.entry.size === 0) return;
    const disk = this.#disk(path);
    await using file = await open(fsPath(disk), 'r');
    this.#mustBe(node, path, await file.stat({ bigint: true }));
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead, buffer } = await file.read(
        Buffer.allocUnsafe(Math.min(PIECE, node.entry.size + 1)),
      );
      if (bytesRead === 0) break;
      yield buffer.subarray(0, bytesRead);
    }
    this.#mustBe(node, path, await file.stat({ bigint: true }));
  }

  diskPath(path: string): string | undefined {
    const node = this.#node(path);
    const disk = this.#disk(path);
    try {
      const stat = lstatSync(fsPath(disk), { bigint: true });
      if (stat.isSocket()) return undefined;
      this.#mustBe(node, path, stat);
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
    const jobs: HashJob[] = [];
    const owner: JobOwner = {
      disk: (path) => this.#disk(path),
      isSame: (node, now) => this.#identities.isSame(node.identity, now),
      set: (node, digest) => this.#set(node, digest, started),
    };
    for (const [path, node] of this.#nodes) {
      if (node.digest !== undefined) continue;
      const known = this.#index.find(this.#identities, node.identity);
      node.digest = known?.digest;
      if (known?.plain === true) node.entry.setPlain();
      if (known !== undefined) continue;
      if (node.entry.type === 'file' && node.entry.size > 0) jobs.push(new Job(owner, path, node));
      else this.#set(node, sha256(entryHeader(node.entry)), started);
    }
    await hashFiles(jobs, { signal, ...(progress === undefined ? {} : { progress }) });
  }

  #set(node: LocalNode, digest: Digest, readAt: bigint): void {
    node.digest = digest;
    const row = node.identity;
    const times = {
      mtimeNs: this.#identities.mtimeNs(row),
      ctimeNs: this.#identities.ctimeNs(row),
    };
    if (!isSettled(times, readAt)) return;
    this.#index.add(this.#identities, row, { digest, plain: node.entry.isKnownPlain });
  }

  #open(path: string): number {
    try {
      return openSync(fsPath(this.#disk(path)), constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (e) {
      if (isErrno(e, 'ENOENT', 'ELOOP')) throw changed(path);
      throw e;
    }
  }

  #node(path: string): LocalNode {
    return this.#nodes.get(path) ?? missing(path);
  }

  #disk(path: string): string {
    return path === '/' ? this.#root : `${this.#root}${path}`;
  }

  #mustBe(node: LocalNode, path: string, now: FileIdentity): void {
    if (!this.#identities.isSame(node.identity, now)) throw changed(path);
  }
}

/** What the files to hash have in common. */
interface JobOwner {
  disk(path: string): string;
  isSame(node: LocalNode, now: FileIdentity): boolean;
  set(node: LocalNode, digest: Digest): void;
}

/** A file to hash; there may be many of them, so what can be asked for is not kept. */
class Job implements HashJob {
  readonly #owner: JobOwner;
  readonly #path: string;
  readonly #node: LocalNode;

  constructor(owner: JobOwner, path: string, node: LocalNode) {
    this.#owner = owner;
    this.#path = path;
    this.#node = node;
  }

  get path(): string {
    return this.#owner.disk(this.#path);
  }

  get header(): Uint8Array {
    return entryHeader(this.#node.entry);
  }

  get size(): number {
    return this.#node.entry.size;
  }

  isSame(now: FileIdentity): boolean {
    return this.#owner.isSame(this.#node, now);
  }

  done(digest: Digest | undefined): void {
    if (digest === undefined) throw changed(this.#path);
    this.#owner.set(this.#node, digest);
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
