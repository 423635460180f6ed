import { decompress } from '../archive/index.ts';
import {
  awaitAll,
  type Digest,
  err,
  FailureError,
  failure,
  Inflight,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import {
  decodeFileIndexes,
  IndexTree,
  MAX_INDEX_BYTES,
  MAX_INDEX_TEXT,
} from '../fileindex/index.ts';
import { type Descriptor, decodeDescriptor, INDEXED_LAYER } from '../oci/index.ts';
import type {
  ContentStore,
  LayerChain,
  LayerEntry,
  LayerIndexes,
  LayerRef,
  MemoDb,
  Snapshotter,
  TreeContext,
} from '../ports/index.ts';
import type { BlobDownload } from './source-image-fetch.ts';

/** What the indexes of layers are found with. */
export interface LayerIndexDeps {
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly memo: MemoDb;
  /** Brings a blob from an origin. */
  readonly download: BlobDownload;
  /** Index blobs that belong to an image at an origin without being named by it. */
  readonly referring: (
    origin: string,
    image: Digest,
    options: { readonly signal: AbortSignal },
  ) => Promise<Result<readonly Descriptor[]>>;
}

/** Descriptors of indexes by origin: they outlive the build that imported them, as the cache's records do. */
const MEMO = 'file-indexes.v1';
/** Images at an origin that what refers to was not asked of yet. */
const IMAGES_MEMO = 'file-index-images.v1';
/** Of so many images of one origin. */
const MAX_IMAGES = 16;

type Decoded = ReadonlyMap<Digest, readonly LayerEntry[]>;

/**
 * Finds file indexes of layers. An index is believed as far as the cache it came with: for layers whose `origin` is that
 * cache, and for all layers of a build that was told to import it (docs/adr/0051).
 */
export function createLayerIndexes(deps: LayerIndexDeps): LayerIndexes {
  return new Indexes(deps);
}

class Indexes implements LayerIndexes {
  readonly #deps: LayerIndexDeps;
  /** Origins of the caches that this build imports, the preferred one first. */
  readonly #origins: string[] = [];
  readonly #offers = new Map<string, readonly Descriptor[]>();
  readonly #decoded = new Map<Digest, Decoded>();
  readonly #reading = new Inflight<Digest, Decoded>();
  readonly #entries = new Map<string, readonly LayerEntry[]>();
  /** Images asked in this build, by origin and digest. */
  readonly #asked = new Set<string>();
  readonly #asking = new Inflight<string, undefined>();

  constructor(deps: LayerIndexDeps) {
    this.#deps = deps;
  }

  offer(origin: string, indexes: readonly Descriptor[]): void {
    if (!this.#origins.includes(origin)) this.#origins.push(origin);
    const all = new Map(
      [...this.#offered(origin), ...indexes].map((blob) => [
        blob.annotations?.[INDEXED_LAYER] ?? blob.digest,
        blob,
      ]),
    );
    this.#offers.set(origin, [...all.values()]);
    if (indexes.length > 0)
      this.#deps.memo.set(MEMO, origin, Buffer.from(JSON.stringify([...all.values()])));
  }

  offerImage(origin: string, image: Digest): void {
    if (!this.#origins.includes(origin)) this.#origins.push(origin);
    const images = [image, ...this.#images(origin).filter((each) => each !== image)];
    this.#deps.memo.set(
      IMAGES_MEMO,
      origin,
      Buffer.from(JSON.stringify(images.slice(0, MAX_IMAGES))),
    );
  }

  blobOf(layer: LayerRef): { readonly blob: Descriptor; readonly origin: string } | undefined {
    return this.#candidates(layer).find(
      ({ blob }) => blob.annotations?.[INDEXED_LAYER] !== undefined,
    );
  }

  async entries(
    chain: LayerChain,
    context: TreeContext,
  ): Promise<readonly LayerEntry[] | undefined> {
    const layer = chain.at(-1);
    if (layer === undefined) return [];
    const key = chain.map(({ id }) => id).join(' ');
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const entries = (await this.#deps.snapshotter.has(chain))
      ? [...this.#deps.snapshotter.entries(chain)]
      : await this.#fetched(layer, context);
    if (entries !== undefined) this.#entries.set(key, entries);
    return entries;
  }

  async tree(
    chain: LayerChain,
    context: TreeContext,
    load: (chain: LayerChain) => Promise<Result<FileTree>>,
  ): Promise<FileTree | undefined> {
    const found = await awaitAll(chain.map((_, i) => this.entries(chain.slice(0, i + 1), context)));
    const layers: (readonly LayerEntry[])[] = [];
    for (const entries of found) {
      if (entries === undefined) return undefined;
      layers.push(entries);
    }
    return new IndexTree(layers, async (count) => {
      const tree = await load(chain.slice(0, count));
      if (!tree.ok) throw new FailureError(tree.error);
      return tree.value;
    });
  }

  async #fetched(
    layer: LayerRef,
    context: TreeContext,
  ): Promise<readonly LayerEntry[] | undefined> {
    const { diffId } = layer;
    if (diffId === undefined) return undefined;
    const entries = await this.#offeredEntries(layer, diffId, context);
    if (entries !== undefined) return entries;
    for (const origin of this.#originsOf(layer))
      for (const image of this.#images(origin)) {
        await this.#ask(origin, image, context);
        const found = await this.#offeredEntries(layer, diffId, context);
        if (found !== undefined) return found;
      }
    return undefined;
  }

  async #offeredEntries(
    layer: LayerRef,
    diffId: Digest,
    context: TreeContext,
  ): Promise<readonly LayerEntry[] | undefined> {
    for (const { blob, origin } of this.#candidates(layer)) {
      const decoded = await this.#reading.do(blob.digest, context.signal, (signal) =>
        this.#read(blob, origin, { ...context, signal }),
      );
      const entries = decoded.get(diffId);
      if (entries !== undefined) return entries;
    }
    return undefined;
  }

  /** Index blobs that may have the layer: those of its own cache, then of the others that this build imports. */
  #candidates(layer: LayerRef): { readonly blob: Descriptor; readonly origin: string }[] {
    return this.#originsOf(layer).flatMap((origin) =>
      this.#offered(origin)
        .filter(({ annotations }) => {
          const only = annotations?.[INDEXED_LAYER];
          return only === undefined || only === layer.diffId;
        })
        .map((blob) => ({ blob, origin })),
    );
  }

  #originsOf({ origin }: LayerRef): readonly string[] {
    return [...new Set([...(origin === undefined ? [] : [origin]), ...this.#origins])];
  }

  #images(origin: string): readonly Digest[] {
    const bytes = this.#deps.memo.get(IMAGES_MEMO, origin) ?? [];
    const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
    const list: readonly unknown[] = parsed.ok && Array.isArray(parsed.value) ? parsed.value : [];
    return list.flatMap((item) => (typeof item === 'string' ? (parseDigest(item) ?? []) : []));
  }

  /** Looks once for what refers to an image; what is found stays known, like what a cache manifest names. */
  async #ask(origin: string, image: Digest, context: TreeContext): Promise<void> {
    const key = `${origin} ${image}`;
    await this.#asking.do(key, context.signal, async (signal) => {
      if (this.#asked.has(key)) return undefined;
      const found = await this.#deps.referring(origin, image, { signal });
      this.#asked.add(key);
      if (found.ok) this.offer(origin, found.value);
      else
        context.emit({
          type: 'warning',
          vertex: context.vertex.digest,
          rule: 'CacheIndex',
          message: `no file index of image ${image} can be had, layers are fetched: ${found.error.message}`,
        });
      return undefined;
    });
  }

  #offered(origin: string): readonly Descriptor[] {
    const known = this.#offers.get(origin);
    if (known !== undefined) return known;
    const parsed = parseJson(Buffer.from(this.#deps.memo.get(MEMO, origin) ?? []).toString('utf8'));
    const list: readonly unknown[] = parsed.ok && Array.isArray(parsed.value) ? parsed.value : [];
    const blobs = list.flatMap((item) => {
      const blob = isRecord(item) ? decodeDescriptor(item) : 'none';
      return typeof blob === 'string' ? [] : [blob];
    });
    this.#offers.set(origin, blobs);
    return blobs;
  }

  /** What is no readable index has no layer: the layer itself is fetched instead, and that is said. */
  async #read(blob: Descriptor, origin: string, context: TreeContext): Promise<Decoded> {
    const known = this.#decoded.get(blob.digest);
    if (known !== undefined) return known;
    const read = await this.#readBlob(blob, origin, context);
    if (!read.ok)
      context.emit({
        type: 'warning',
        vertex: context.vertex.digest,
        rule: 'CacheIndex',
        message: `the file index ${blob.digest} of a cache is not used, layers are fetched: ${read.error.message}`,
      });
    const decoded = read.ok ? read.value : new Map<Digest, readonly LayerEntry[]>();
    this.#decoded.set(blob.digest, decoded);
    return decoded;
  }

  async #readBlob(
    blob: Descriptor,
    origin: string,
    context: TreeContext,
  ): Promise<Result<Decoded>> {
    const { content, download } = this.#deps;
    if (blob.size > MAX_INDEX_BYTES)
      return err(
        failure(
          'RC007',
          3,
          `file index of layers: ${blob.size} bytes, more than ${MAX_INDEX_BYTES}`,
        ),
      );
    if ((await content.size(blob.digest)) !== blob.size) {
      const fetched = await download(origin, blob, context);
      if (!fetched.ok) return fetched;
    }
    const bytes = await content.read(blob.digest, { maxBytes: MAX_INDEX_BYTES });
    if (!bytes.ok) return bytes;
    const { signal } = context;
    const parts: Uint8Array[] = [];
    try {
      const limits = { signal, format: 'zstd' as const, maxBytes: MAX_INDEX_TEXT };
      for await (const part of decompress(once(bytes.value), limits)) parts.push(part);
    } catch (e) {
      if (e instanceof FailureError) return err(e.failure);
      throw e;
    }
    const decoded = decodeFileIndexes(Buffer.concat(parts).toString('utf8'));
    return decoded.ok ? ok(decoded.value) : decoded;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
