import { createHash } from 'node:crypto';
import { byUtf8, type Digest, digestOfHex, sha256 } from '../base/index.ts';
import { entryHeader, type FileEntry, type FileTree } from '../cachekey/index.ts';
import { join, parentOf } from './layer-path.ts';
import type { LayerView, Seen } from './layer-view.ts';

interface Found {
  readonly layer: LayerView;
  readonly seen: Seen;
}

/**
 * The merged view of layers, looked up as the kernel would and without a mount: whiteouts and opaque directories hide
 * what is below, directories merge, the topmost layer gives the metadata.
 */
export class OverlayTree implements FileTree {
  readonly rootHeader = 'entry';
  /** Topmost first. */
  readonly #layers: readonly LayerView[];
  /** For each directory looked into: the layers that have a part in it, topmost first. */
  readonly #parts = new Map<string, readonly LayerView[]>();
  /** What the last listings found: who lists a directory looks at its entries next. Oldest first. */
  readonly #listed = new Map<string, ReadonlyMap<string, Found | undefined>>();

  /** `layers` lowest first. */
  constructor(layers: readonly LayerView[]) {
    this.#layers = layers.toReversed();
  }

  lstat(path: string): FileEntry | undefined {
    if (path === '/' && this.#layers.length === 0) return EMPTY_ROOT;
    return this.#find(path)?.seen.entry();
  }

  list(path: string): readonly string[] {
    const parts = this.#partsOf(path);
    const found = new Map<string, Found | undefined>();
    for (const layer of parts)
      for (const name of layer.names(path)) {
        const at = join(path, name);
        if (found.has(at)) continue;
        const seen = layer.see(at);
        if (seen !== undefined)
          found.set(at, seen.type === 'whiteout' ? undefined : { layer, seen });
      }
    this.#listed.delete(path);
    this.#listed.set(path, found);
    for (const [oldest] of this.#listed) {
      if (this.#listed.size <= LISTINGS) break;
      this.#listed.delete(oldest);
    }
    const start = path === '/' ? 1 : path.length + 1;
    return [...found]
      .filter(([, entry]) => entry !== undefined)
      .map(([at]) => at.slice(start))
      .sort(byUtf8);
  }

  async digest(path: string, signal: AbortSignal): Promise<Digest> {
    signal.throwIfAborted();
    if (path === '/' && this.#layers.length === 0) return sha256(entryHeader(EMPTY_ROOT));
    const found = this.#find(path);
    if (found === undefined) throw new Error(`no such path in the tree: ${path}`);
    const known = found.layer.digest(path);
    if (known !== undefined) return known;
    const entry = found.seen.entry();
    if (entry.type !== 'file') return sha256(entryHeader(entry));
    const hash = createHash('sha256').update(entryHeader(entry));
    const small = found.layer.readNow(path);
    if (small !== undefined) hash.update(small);
    else for await (const chunk of found.layer.read(path, signal)) hash.update(chunk);
    const digest = digestOfHex(hash.digest('hex'));
    found.layer.setDigest(path, digest);
    return digest;
  }

  read(path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const layer = this.#fileLayer(path);
    if (layer === undefined) throw new Error(`not a regular file: ${path}`);
    return layer.read(path, signal);
  }

  readNow(path: string): Uint8Array | undefined {
    return this.#fileLayer(path)?.readNow(path);
  }

  knownDigest(path: string): Digest | undefined {
    return this.#find(path)?.layer.digest(path);
  }

  diskPath(path: string): string | undefined {
    return this.#fileLayer(path)?.diskPath(path);
  }

  #fileLayer(path: string): LayerView | undefined {
    const found = this.#find(path);
    return found?.seen.type === 'file' ? found.layer : undefined;
  }

  #find(path: string): Found | undefined {
    const listed = path === '/' ? undefined : this.#listed.get(parentOf(path));
    if (listed?.has(path) === true) return listed.get(path);
    const parts = path === '/' ? this.#layers : this.#partsOf(parentOf(path));
    for (const layer of parts) {
      const seen = layer.see(path);
      if (seen === undefined) continue;
      return seen.type === 'whiteout' ? undefined : { layer, seen };
    }
    return undefined;
  }

  /** The layers whose directory at `path` shows through; none when it is not a directory. */
  #partsOf(path: string): readonly LayerView[] {
    if (path === '/') return this.#layers;
    const known = this.#parts.get(path);
    if (known !== undefined) return known;
    const parts: LayerView[] = [];
    for (const layer of this.#partsOf(parentOf(path))) {
      const seen = layer.see(path);
      if (seen === undefined) continue;
      if (seen.type !== 'dir') break;
      parts.push(layer);
      // Nothing is below the last one.
      if (layer !== this.#layers.at(-1) && layer.isOpaque(path)) break;
    }
    this.#parts.set(path, parts);
    return parts;
  }
}

/** Listings whose entries are remembered: as many as directories lie above one another. */
const LISTINGS = 16;

/** The root of a tree without layers, as a snapshot's root is made. */
const EMPTY_ROOT: FileEntry = {
  type: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  xattrs: new Map(),
};
