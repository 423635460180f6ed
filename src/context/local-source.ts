import { createHash } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import {
  err,
  FailureError,
  failure,
  fsPath,
  isErrno,
  ok,
  type Result,
  writeAtomically,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { Clock, LocalSource, LocalTreeOptions } from '../ports/index.ts';
import { followLinks } from './follow-links.ts';
import { LocalTree } from './local-tree.ts';
import { createPathFilter } from './path-filter.ts';
import { StatIndex } from './stat-index.ts';
import { walk } from './walk.ts';

/** What a local source needs of its world. */
export interface LocalSourceDeps {
  readonly clock: Clock;
  /** Where digests of files are remembered. */
  readonly indexDir: string;
}

/** Opens a directory as a source; `given` is how the user wrote it. */
export function openLocalSource(given: string, deps: LocalSourceDeps): Result<LocalSource> {
  let root: string;
  try {
    root = realpathSync(given);
    if (!statSync(root).isDirectory())
      return err(
        failure('CX002', 2, `context "${given}" is not a directory`, {
          help: 'name the directory that holds the files to copy',
        }),
      );
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) throw e;
    return err(
      failure('CX001', isErrno(e, 'EACCES') ? 3 : 2, `context "${given}" ${reasonOf(e)}`, {
        help: 'check the path',
        cause: e,
      }),
    );
  }
  return ok(new Source(given, root, deps));
}

function reasonOf(e: NodeJS.ErrnoException): string {
  if (e.code === 'EACCES') return 'cannot be read: permission denied';
  return e.code === 'ELOOP' ? 'is a loop of symbolic links' : 'does not exist';
}

class Source implements LocalSource {
  readonly describes: string;
  readonly root: string;
  readonly #deps: LocalSourceDeps;

  constructor(given: string, root: string, deps: LocalSourceDeps) {
    this.describes = given;
    this.root = root;
    this.#deps = deps;
  }

  async readFile(
    path: string,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<Result<Uint8Array | undefined>> {
    try {
      const real = realpathSync(join(this.root, path));
      if (real !== this.root && !real.startsWith(this.root === sep ? sep : this.root + sep))
        return err(failure('CX003', 2, `${path} leads outside ${this.describes}`));
      const stat = statSync(real);
      if (stat.size > options.maxBytes)
        return err(failure('CX003', 2, `${path} is larger than ${options.maxBytes} bytes`));
      // A pipe may keep its reader waiting; of a file, a thread that reads it would take longer.
      return ok(
        stat.isFile() ? readFileSync(real) : await readFile(real, { signal: options.signal }),
      );
    } catch (e) {
      if (isErrno(e, 'ENOENT', 'ENOTDIR')) return ok(undefined);
      if (isErrno(e, 'EACCES', 'EISDIR', 'ELOOP'))
        return err(
          failure('CX003', 3, `reading ${path} in ${this.describes}: ${e.message}`, { cause: e }),
        );
      throw e;
    }
  }

  async tree(options: LocalTreeOptions): Promise<Result<FileTree>> {
    const follow = followLinks(this.root, options.follow);
    const includes = [...options.includes, ...(follow ?? [])];
    const filter = createPathFilter(includes.length === 0 ? undefined : includes, options.excludes);
    if (!filter.ok) return filter;
    try {
      const index = StatIndex.decode(this.#readIndex());
      const { nodes, identities } = walk(this.root, filter.value, options.signal);
      const now = (): bigint => BigInt(Math.round(this.#deps.clock.now() * 1e6));
      const tree = new LocalTree({ root: this.root, nodes, identities, index, now });
      await tree.hashAll(options.signal, options.progress);
      const encoded = index.encode();
      if (encoded !== undefined) await writeAtomically(this.#indexPath(), encoded);
      return ok(tree);
    } catch (e) {
      if (e instanceof FailureError) return err(e.failure);
      if (isErrno(e, 'EACCES', 'EPERM', 'EIO', 'ENOTDIR'))
        return err(
          failure('CX006', 3, `reading the context ${this.describes}: ${e.message}`, {
            help: 'make the file readable, or exclude it in .dockerignore',
            cause: e,
          }),
        );
      throw e;
    }
  }

  #readIndex(): Uint8Array | undefined {
    try {
      return readFileSync(this.#indexPath());
    } catch (e) {
      if (isErrno(e, 'ENOENT')) return undefined;
      throw e;
    }
  }

  #indexPath(): string {
    const name = createHash('sha256').update(fsPath(this.root)).digest('hex').slice(0, 32);
    return join(this.#deps.indexDir, `${name}.idx`);
  }
}
