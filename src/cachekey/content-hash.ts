import { createHash } from 'node:crypto';
import {
  awaitAll,
  bytesOfName,
  type Digest,
  digestOfHex,
  err,
  ok,
  type Result,
  sha256,
} from '../base/index.ts';
import type { FileTree } from './file-tree.ts';
import { type IncludedPath, includedPaths } from './included-paths.ts';
import { resolveInTree } from './resolve.ts';
import { type ContentSelector, cleanRooted } from './selector.ts';

/** Files whose digests are asked for at the same time. */
const PARALLEL_READS = 16;

const EMPTY = sha256('');

/** Paths in a tree with the digests of the entries alone; a path may come twice. */
export type ListedEntries = Iterable<readonly [path: string, digest: Digest]>;

/** Checksums over one tree; each entry is read once and each directory computed once. */
export interface ContentHasher {
  /** The checksum of a selector (BuildKit cache/contenthash, `Checksum`). The error text is BuildKit's. */
  checksum(selector: ContentSelector, signal: AbortSignal): Promise<Result<Digest, string>>;
  /** The entries whose own digests went into the checksums so far. */
  readonly entries: ListedEntries;
}

/** Makes a hasher for a tree that does not change while it is used. */
export function contentHasher(tree: FileTree): ContentHasher {
  return new Hasher(tree);
}

class Hasher implements ContentHasher {
  readonly #tree: FileTree;
  /** Digests of entries alone (of a directory, its header's) that the tree does not know by itself. */
  readonly #read = new Map<string, Digest>();
  /** Paths whose digests were asked for. */
  readonly #used: (readonly string[])[] = [];
  /** Digests of directories with all that is below them. */
  readonly #directories = new Map<string, Digest>();

  constructor(tree: FileTree) {
    this.#tree = tree;
  }

  get entries(): ListedEntries {
    return this.#listed();
  }

  *#listed(): Generator<readonly [string, Digest]> {
    for (const paths of this.#used) for (const path of paths) yield [path, this.#entry(path)];
  }

  async checksum(selector: ContentSelector, signal: AbortSignal): Promise<Result<Digest, string>> {
    signal.throwIfAborted();
    const filtered =
      selector.wildcard === true ||
      (selector.includePatterns?.length ?? 0) > 0 ||
      (selector.excludePatterns?.length ?? 0) > 0;
    if (filtered) return await this.#filtered(selector, signal);
    const found = this.#resolve(selector.path, selector.followLinks ?? false);
    if (!found.ok) return found;
    await this.#load(this.#below(found.value), signal);
    return ok(this.#recursive(found.value));
  }

  #resolve(path: string, last: boolean): Result<string, string> {
    const found = resolveInTree(this.#tree, path, { last });
    if (!found.ok) return found;
    if (found.value.entry === undefined) return err(`"${cleanRooted(path)}": not found`);
    return ok(found.value.path);
  }

  async #filtered(selector: ContentSelector, signal: AbortSignal): Promise<Result<Digest, string>> {
    const found = includedPaths(this.#tree, selector);
    if (!found.ok) return found;
    const { paths, prefix } = found.value;
    const [only, ...others] = paths;
    if (only === undefined) return ok(EMPTY);
    const targets: (string | undefined)[] = [];
    for (const p of paths) {
      const target = followed(selector, p) ? this.#resolve(p.path, true) : undefined;
      if (target?.ok === false) return target;
      targets.push(target?.value);
    }
    await this.#load(
      paths.flatMap((p, i) => {
        const target = targets[i];
        return target === undefined ? [p.real] : this.#below(target);
      }),
      signal,
    );
    const digests = paths.map((p, i) => {
      const target = targets[i];
      return target === undefined ? this.#entry(p.real) : this.#recursive(target);
    });
    const [first] = digests;
    if (others.length === 0 && first !== undefined && sameBase(selector.path, only.path))
      return ok(first);
    const hash = createHash('sha256');
    paths.forEach((p, i) => {
      hash.update(relativeKey(p.path, prefix)).update(digests[i] ?? '');
    });
    return ok(digestOfHex(hash.digest('hex')));
  }

  /** The paths whose digests make up that of `path`; a directory that is known already needs none. */
  #below(path: string): string[] {
    const found: string[] = [];
    const pending = [path];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      found.push(at);
      if (this.#directories.has(at) || this.#tree.lstat(at)?.type !== 'dir') continue;
      const base = at === '/' ? '' : at;
      for (const name of this.#tree.list(at)) pending.push(`${base}/${name}`);
    }
    return found;
  }

  /** Reads the digests of entries that are not known, several at a time. */
  async #load(paths: readonly string[], signal: AbortSignal): Promise<void> {
    this.#used.push(paths);
    const wanted = paths.filter((p) => this.#known(p) === undefined);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let path = wanted[next++]; path !== undefined; path = wanted[next++]) {
        signal.throwIfAborted();
        this.#read.set(path, await this.#ask(path, signal));
      }
    };
    const workers = Math.min(PARALLEL_READS, wanted.length);
    await awaitAll(Array.from({ length: workers }, worker));
  }

  async #ask(path: string, signal: AbortSignal): Promise<Digest> {
    // A context without entries sends no change at all, so BuildKit falls back to the directory it made for it.
    const sent = path === '/' && this.#tree.rootHeader === 'empty';
    if (sent && this.#tree.list('/').length > 0) return EMPTY;
    return await this.#tree.digest(path, signal);
  }

  /** The root's is what `#ask` says, not the entry's own. */
  #known(path: string): Digest | undefined {
    const known = path === '/' ? undefined : this.#tree.knownDigest?.(path);
    return known ?? this.#read.get(path);
  }

  #entry(path: string): Digest {
    const digest = this.#known(path);
    if (digest === undefined) throw new Error(`the digest of ${path} was not read`);
    return digest;
  }

  /** The digest of a file, link or device, or of a directory with all that is below it; its parts were read. */
  #recursive(path: string): Digest {
    if (this.#tree.lstat(path)?.type !== 'dir') return this.#entry(path);
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const base = path === '/' ? '' : path;
    const hash = createHash('sha256').update(`\0${this.#entry(path)}`);
    let text = '';
    for (const name of this.#tree.list(path)) {
      const child = this.#recursive(`${base}/${name}`);
      if (name.isWellFormed()) {
        text += `\0${name}${child}`;
        continue;
      }
      hash.update(`${text}\0`).update(bytesOfName(name)).update(child);
      text = '';
    }
    hash.update(text);
    const digest = digestOfHex(hash.digest('hex'));
    this.#directories.set(path, digest);
    return digest;
  }
}

const followed = (selector: ContentSelector, p: IncludedPath): boolean =>
  p.type === 'symlink' && p.direct && selector.followLinks === true;

const sameBase = (a: string, b: string): boolean => baseOf(cleanRooted(a)) === baseOf(b);

/** Go's `path.Base`. */
function baseOf(path: string): string {
  return path === '' ? '.' : path === '/' ? '/' : path.slice(path.lastIndexOf('/') + 1);
}

/** A path below the part of the selector without wildcards, in the form of keys: NUL for every slash. */
function relativeKey(path: string, prefix: string): Uint8Array {
  const rest = path.startsWith(prefix) ? path.slice(prefix.length) : path;
  return bytesOfName(rest === '' ? '\0' : rest.replaceAll('/', '\0'));
}
