import { createHash } from 'node:crypto';
import {
  bytesOfName,
  type Digest,
  digestOfHex,
  err,
  ok,
  type Result,
  Semaphore,
  sha256,
} from '../base/index.ts';
import type { FileTree } from './file-tree.ts';
import { includedPaths } from './included-paths.ts';
import { resolveInTree } from './resolve.ts';
import { type ContentSelector, cleanRooted } from './selector.ts';

/** Files whose digests are asked for at the same time. */
const PARALLEL_READS = 16;

const EMPTY = sha256('');

/** Checksums over one tree; digests of directories are computed once. */
export interface ContentHasher {
  /** The checksum of a selector (BuildKit cache/contenthash, `Checksum`). The error text is BuildKit's. */
  checksum(selector: ContentSelector, signal: AbortSignal): Promise<Result<Digest, string>>;
}

/** Makes a hasher for a tree that does not change while it is used. */
export function contentHasher(tree: FileTree): ContentHasher {
  return new Hasher(tree);
}

class Hasher implements ContentHasher {
  readonly #tree: FileTree;
  readonly #reads = new Semaphore(PARALLEL_READS);
  readonly #directories = new Map<string, Promise<Digest>>();

  constructor(tree: FileTree) {
    this.#tree = tree;
  }

  async checksum(selector: ContentSelector, signal: AbortSignal): Promise<Result<Digest, string>> {
    signal.throwIfAborted();
    const filtered =
      selector.wildcard === true ||
      (selector.includePatterns?.length ?? 0) > 0 ||
      (selector.excludePatterns?.length ?? 0) > 0;
    return filtered
      ? await this.#filtered(selector, signal)
      : await this.#plain(selector.path, selector.followLinks ?? false, signal);
  }

  async #plain(
    path: string,
    follow: boolean,
    signal: AbortSignal,
  ): Promise<Result<Digest, string>> {
    const found = resolveInTree(this.#tree, path, { last: follow });
    if (!found.ok) return found;
    if (found.value.entry === undefined) return err(`"${cleanRooted(path)}": not found`);
    return ok(await this.#recursive(found.value.path, signal));
  }

  async #filtered(selector: ContentSelector, signal: AbortSignal): Promise<Result<Digest, string>> {
    const found = includedPaths(this.#tree, selector);
    if (!found.ok) return found;
    const { paths } = found.value;
    if (paths.length === 0) return ok(EMPTY);
    const digests: Digest[] = [];
    const asked = paths.map(async (p) => {
      if (p.type === 'symlink' && p.direct && selector.followLinks === true)
        return await this.#plain(p.path, true, signal);
      return ok(
        p.type === 'dir' ? await this.#header(p.real, signal) : await this.#entry(p.real, signal),
      );
    });
    for (const result of await Promise.all(asked)) {
      if (!result.ok) return result;
      digests.push(result.value);
    }
    const [only] = digests;
    if (
      digests.length === 1 &&
      only !== undefined &&
      baseOf(cleanRooted(selector.path)) === baseOf(paths[0]?.path ?? '')
    )
      return ok(only);
    const hash = createHash('sha256');
    paths.forEach((p, i) => {
      hash.update(relativeKey(p.path, found.value.prefix));
      hash.update(digests[i] ?? '');
    });
    return ok(digestOfHex(hash.digest('hex')));
  }

  /** The digest of a file, link or device, or of a directory with all that is below it. */
  async #recursive(path: string, signal: AbortSignal): Promise<Digest> {
    if (this.#tree.lstat(path)?.type !== 'dir') return await this.#entry(path, signal);
    let known = this.#directories.get(path);
    if (known === undefined) {
      known = this.#directory(path, signal);
      this.#directories.set(path, known);
      // A cancelled or failed computation must not be what the next caller gets.
      known.catch(() => this.#directories.delete(path));
    }
    return await known;
  }

  async #directory(path: string, signal: AbortSignal): Promise<Digest> {
    const names = this.#tree.list(path);
    const below = path === '/' ? '' : path;
    const [header, ...children] = await Promise.all([
      this.#header(path, signal),
      ...names.map(async (name) => await this.#recursive(`${below}/${name}`, signal)),
    ]);
    const hash = createHash('sha256').update(`\0${header}`);
    names.forEach((name, i) => {
      hash
        .update('\0')
        .update(bytesOfName(name))
        .update(children[i] ?? '');
    });
    return digestOfHex(hash.digest('hex'));
  }

  async #header(path: string, signal: AbortSignal): Promise<Digest> {
    // A context without entries sends no change at all, so BuildKit falls back to the directory it made for it.
    if (path === '/' && this.#tree.rootHeader === 'empty' && this.#tree.list('/').length > 0)
      return EMPTY;
    return await this.#entry(path, signal);
  }

  async #entry(path: string, signal: AbortSignal): Promise<Digest> {
    return await this.#reads.run(signal, async () => await this.#tree.digest(path, signal));
  }
}

/** Go's `path.Base`. */
function baseOf(path: string): string {
  return path === '' ? '.' : path === '/' ? '/' : path.slice(path.lastIndexOf('/') + 1);
}

/** A path below the part of the selector without wildcards, in the form of keys: NUL for every slash. */
function relativeKey(path: string, prefix: string): Uint8Array {
  const rest = path.startsWith(prefix) ? path.slice(prefix.length) : path;
  return bytesOfName(rest === '' ? '\0' : rest.replaceAll('/', '\0'));
}
