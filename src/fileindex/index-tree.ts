import { byUtf8, type Digest, sha256 } from '../base/index.ts';
import { entryHeader, type FileEntry, type FileTree } from '../cachekey/index.ts';
import type { LayerEntry } from '../ports/index.ts';

interface Node {
  entry: FileEntry;
  /** The layer the entry is of, counted from below. */
  layer: number;
  data?: Uint8Array | undefined;
  children: Map<string, Node>;
}

const ROOT: FileEntry = {
  type: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  xattrs: new Map(),
};

/**
 * The merged tree of layers by their indexes, as overlayfs shows them. Metadata is at hand; when data is asked for, `load`
 * brings the layers up to the one that has it.
 */
export class IndexTree implements FileTree {
  readonly rootHeader = 'entry';
  readonly #root: Node = { entry: ROOT, layer: 0, children: new Map() };
  readonly #load: (layers: number) => Promise<FileTree>;
  readonly #loading = new Map<number, Promise<FileTree>>();
  /** Trees of the beginnings that are here, by the number of their layers. */
  readonly #loaded = new Map<number, FileTree>();

  /** `layers` lowest first; `load` gives the tree of so many of the lowest layers. */
  constructor(
    layers: readonly Iterable<LayerEntry>[],
    load: (layers: number) => Promise<FileTree>,
  ) {
    this.#load = load;
    for (const [i, entries] of layers.entries()) this.#apply(entries, i);
  }

  lstat(path: string): FileEntry | undefined {
    return this.#find(path)?.entry;
  }

  list(path: string): readonly string[] {
    return [...(this.#find(path)?.children.keys() ?? [])].sort(byUtf8);
  }

  async digest(path: string, signal: AbortSignal): Promise<Digest> {
    signal.throwIfAborted();
    const node = this.#find(path);
    if (node === undefined) throw new Error(`no such path in the tree: ${path}`);
    const { entry, data } = node;
    if (entry.type !== 'file') return sha256(entryHeader(entry));
    if (data !== undefined) return sha256(Buffer.concat([entryHeader(entry), data]));
    return await (await this.#treeWith(node)).digest(path, signal);
  }

  async *read(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const node = this.#find(path);
    if (node?.entry.type !== 'file') throw new Error(`not a regular file: ${path}`);
    if (node.data !== undefined) yield node.data;
    else yield* (await this.#treeWith(node)).read(path, signal);
  }

  diskPath(path: string): string | undefined {
    const node = this.#find(path);
    return node === undefined ? undefined : this.#loaded.get(node.layer + 1)?.diskPath(path);
  }

  #treeWith(node: Node): Promise<FileTree> {
    const count = node.layer + 1;
    const known = this.#loading.get(count);
    if (known !== undefined) return known;
    const loading = this.#load(count).then((tree) => {
      this.#loaded.set(count, tree);
      return tree;
    });
    this.#loading.set(count, loading);
    return loading;
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    if (path === '/') return node;
    for (const name of path.slice(1).split('/')) node = node?.children.get(name);
    return node;
  }

  /** Parents come before children. Names of the layer itself are distinct, so that only lower layers are hidden. */
  #apply(entries: Iterable<LayerEntry>, layer: number): void {
    for (const each of entries) {
      const at = each.path.lastIndexOf('/');
      const parent = this.#find(each.path.slice(0, at) || '/');
      if (parent === undefined) throw new Error(`no directory for ${each.path}`);
      const name = each.path.slice(at + 1);
      if (each.kind === 'gone') {
        parent.children.delete(name);
        continue;
      }
      const { inode } = each.entry;
      const entry =
        inode === undefined ? each.entry : { ...each.entry, inode: `${layer}:${inode}` };
      const below = parent.children.get(name);
      const merges = entry.type === 'dir' && below?.entry.type === 'dir' && each.opaque !== true;
      const children = merges ? below.children : new Map<string, Node>();
      parent.children.set(name, { entry, layer, data: each.data, children });
    }
  }
}
