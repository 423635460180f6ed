import { compress } from '../archive/index.ts';
import { type Digest, parseJson } from '../base/index.ts';
import {
  encodeFileIndexes,
  type IndexedLayer,
  inTarForm,
  MAX_INDEX_BYTES,
} from '../fileindex/index.ts';
import {
  type Descriptor,
  decodeDescriptor,
  FILE_INDEX_MEDIA_TYPE,
  INDEXED_LAYER,
} from '../oci/index.ts';
import type { LayerChain, LayerEntry, LayerIndexes, LayerRef } from '../ports/index.ts';
import type { ExportContext, ImageDeps } from './deps.ts';
import { isMadeHere } from './layer-blob.ts';

/** Indexes with a shorter text share one blob. */
const SMALL = 8192;
const MEMO = 'file-index.v1';
/** Entries after which other work gets its turn. */
const BATCH = 2000;

/** A blob with file indexes; its bytes are in the content store, or at `origin`. */
export interface FileIndexBlob {
  readonly blob: Descriptor;
  readonly origin?: string;
}

/** A layer that is exported, with its diffID as it is known by then. */
export interface ExportedLayer {
  readonly chain: LayerChain;
  readonly diffId: Digest;
}

type Deps = Pick<ImageDeps, 'content' | 'snapshotter' | 'memo'> & {
  readonly indexes: LayerIndexes;
};

/**
 * The file indexes of layers as blobs: a large one each, the small ones together. A layer that is not extracted and whose
 * index is not known either has none. What is made is remembered by layer, so that an unchanged layer is not read again.
 */
export async function fileIndexBlobs(
  deps: Deps,
  layers: readonly ExportedLayer[],
  context: ExportContext,
): Promise<readonly FileIndexBlob[]> {
  const blobs: FileIndexBlob[] = [];
  const small: IndexedLayer[] = [];
  for (const { chain, diffId } of layers) {
    context.signal.throwIfAborted();
    const layer = chain.at(-1);
    if (layer === undefined) continue;
    const known = await knownBlob(deps, layer, diffId);
    if (known !== undefined) {
      blobs.push(known);
      continue;
    }
    const entries = await deps.indexes.entries(chain, context);
    if (entries === undefined) continue;
    const indexed = { diffId, entries: await formOf(layer, entries) };
    const text = encodeFileIndexes([indexed]);
    if (text.length < SMALL) {
      small.push(indexed);
      continue;
    }
    const bytes = await compressed(text, context.signal);
    if (bytes.length <= MAX_INDEX_BYTES) {
      const blob = await stored(deps, bytes, diffId);
      deps.memo.set(MEMO, layer.id, Buffer.from(JSON.stringify(blob)));
      blobs.push({ blob });
    }
  }
  if (small.length === 0) return blobs;
  const shared = await compressed(encodeFileIndexes(small), context.signal);
  return [...blobs, { blob: await stored(deps, shared) }];
}

/** The index of its own that a layer has already: made here before, or at the cache it comes from. */
async function knownBlob(
  deps: Deps,
  layer: LayerRef,
  diffId: Digest,
): Promise<FileIndexBlob | undefined> {
  const memo = parseJson(Buffer.from(deps.memo.get(MEMO, layer.id) ?? []).toString('utf8'));
  const blob = memo.ok ? decodeDescriptor(memo.value) : 'none';
  if (typeof blob !== 'string' && (await deps.content.size(blob.digest)) === blob.size)
    return { blob };
  return deps.indexes.blobOf({ ...layer, diffId });
}

/** Entries as the layer's tar has them: only layers made here have more than comes out of their tar. */
async function formOf(
  layer: LayerRef,
  entries: readonly LayerEntry[],
): Promise<readonly LayerEntry[]> {
  // Large layers are long lists: others get their turn first.
  if (entries.length > BATCH) await new Promise<void>((resolve) => setImmediate(resolve));
  return isMadeHere(layer) ? [...inTarForm(entries)] : entries;
}

async function compressed(text: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  async function* once(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(text);
  }
  const parts: Uint8Array[] = [];
  for await (const part of compress(once(), { format: 'zstd', signal })) parts.push(part);
  return Buffer.concat(parts);
}

async function stored(
  deps: Pick<Deps, 'content'>,
  bytes: Uint8Array,
  diffId?: Digest,
): Promise<Descriptor> {
  return {
    mediaType: FILE_INDEX_MEDIA_TYPE,
    digest: await deps.content.put(bytes),
    size: bytes.length,
    ...(diffId === undefined ? {} : { annotations: { [INDEXED_LAYER]: diffId } }),
  };
}
