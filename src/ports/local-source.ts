import type { Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';

/** A directory that a build reads: its context, the Dockerfile's directory, a named context, an unpacked archive. */
export interface LocalSource {
  /** For people: the path as given. */
  readonly describes: string;
  /** The directory's absolute path, where it is one. */
  readonly root?: string;
  /** A small file below the directory (symbolic links are followed inside it only); undefined when absent. */
  readFile(
    path: string,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<Result<Uint8Array | undefined>>;
  /** Walks the directory and makes sure that the digest of every entry is known. */
  tree(options: LocalTreeOptions): Promise<Result<FileTree>>;
}

export interface LocalTreeOptions {
  /** `.dockerignore` patterns. */
  readonly excludes: readonly string[];
  /** Patterns of the only paths wanted; empty: all. */
  readonly includes: readonly string[];
  /** Paths (wildcards allowed) of the only paths wanted, and what symbolic links among them lead to; empty: all. */
  readonly follow: readonly string[];
  readonly signal: AbortSignal;
  /** Bytes read so far because their digest was not known. */
  readonly progress?: (bytes: number) => void;
}
