import { createHash } from 'node:crypto';
import { byUtf8, type Digest, digestOfHex } from '../../src/base/index.ts';
import {
  entryHeader,
  type FileEntry,
  type FileTree,
  type FileType,
} from '../../src/cachekey/index.ts';

/** One entry of a tree under construction; a directory above it that is not listed is an error. */
export interface MemoryEntry {
  readonly path: string;
  readonly type: FileType | 'hardlink';
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly content?: Uint8Array | string;
  /** Of a symlink, or the path of the first name of a hard link. */
  readonly target?: string;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

interface Node {
  readonly entry: FileEntry;
  readonly data: Uint8Array;
  readonly children: Map<string, Node>;
}

/** A file tree in memory, which counts how often file data was read. */
export class MemoryTree implements FileTree {
  readonly rootHeader: 'entry' | 'empty';
  readonly #root: Node;
  /** Paths whose digest was asked for, in order. */
  readonly asked: string[] = [];

  constructor(entries: readonly MemoryEntry[], rootHeader: 'entry' | 'empty' = 'entry') {
    this.rootHeader = rootHeader;
    this.#root = node({ path: '/', type: 'dir', mode: 0o755 });
    for (const e of entries) {
      const at = e.path.lastIndexOf('/');
      const parent = this.#find(at === -1 ? '/' : e.path.slice(0, at));
      if (parent === undefined) throw new Error(`no directory above ${e.path}`);
      const made = e.type === 'hardlink' ? this.#find(e.target ?? '') : node(e);
      if (made === undefined) throw new Error(`no target of the hard link ${e.path}`);
      parent.children.set(e.path.slice(at + 1), made);
    }
  }

  lstat(path: string): FileEntry | undefined {
    return this.#find(path)?.entry;
  }

  list(path: string): readonly string[] {
    return [...(this.#find(path)?.children.keys() ?? [])].sort(byUtf8);
  }

  async digest(path: string, signal: AbortSignal): Promise<Digest> {
    signal.throwIfAborted();
    this.asked.push(path);
    const found = this.#find(path);
    if (found === undefined) throw new Error(`nothing at ${path}`);
    const devices = this.rootHeader === 'empty' ? 'numbered' : 'unnumbered';
    const hash = createHash('sha256').update(entryHeader(found.entry, devices)).update(found.data);
    return await Promise.resolve(digestOfHex(hash.digest('hex')));
  }

  async *read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    signal.throwIfAborted();
    yield await Promise.resolve(this.#find(path)?.data ?? new Uint8Array(0));
  }

  diskPath(): undefined {
    return undefined;
  }

  #find(path: string): Node | undefined {
    let at: Node | undefined = this.#root;
    for (const part of path.split('/')) if (part !== '') at = at?.children.get(part);
    return at;
  }
}

function node(e: MemoryEntry): Node {
  const data = typeof e.content === 'string' ? Buffer.from(e.content) : e.content;
  const type: FileType = e.type === 'hardlink' ? 'file' : e.type;
  return {
    entry: {
      type,
      mode: e.mode ?? (type === 'dir' ? 0o755 : 0o644),
      uid: e.uid ?? 0,
      gid: e.gid ?? 0,
      size: data?.length ?? 0,
      mtimeNs: 0n,
      ...(type === 'symlink' ? { link: e.target ?? '' } : {}),
      ...(e.device === undefined ? {} : { device: e.device }),
      xattrs: e.xattrs ?? new Map<string, Uint8Array>(),
    },
    data: data ?? new Uint8Array(0),
    children: new Map(),
  };
}
