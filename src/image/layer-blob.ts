import { createHash } from 'node:crypto';
import { compress, decompress } from '../archive/index.ts';
import {
  type Digest,
  digestOfHex,
  err,
  FailureError,
  failure,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import {
  type Compression,
  type Descriptor,
  decodeDescriptor,
  layerCompression,
  layerMediaType,
} from '../oci/index.ts';
import type { LayerChain, LayerRef } from '../ports/index.ts';
import type { ExportContext, ImageDeps } from './deps.ts';
import { StoredBlocks } from './known-blocks.ts';

/** How layers are written. */
export interface LayerOptions {
  readonly compression: Compression;
  readonly level?: number;
  /** Compresses again what exists in another form. */
  readonly force: boolean;
  /** A layer made here and extracted gets this form although it has another; what came from elsewhere stays as it is. */
  readonly remake?: boolean;
  /** Clamps the times of entries to this many seconds since the epoch (`rewrite-timestamp`). */
  readonly rewriteTo?: number;
}

/** A layer in the form an image names it. The bytes may still be elsewhere (`LayerRef.origin`). */
export interface LayerBlob {
  readonly diffId: Digest;
  readonly blob: Descriptor;
  readonly layer: LayerRef;
}

const MEMO = 'layer-rewrite.v1';

/** Blocks in work at once: one a processor, within what their memory allows. */
const blocksAtOnce = (processors: number): number => Math.min(32, Math.max(4, processors));

/** The blob of the top layer of `chain`: one that exists already, or one made now in one pass over the layer's tar. */
export async function layerBlob(
  deps: ImageDeps,
  chain: LayerChain,
  options: LayerOptions,
  context: ExportContext,
): Promise<Result<LayerBlob>> {
  const layer = chain.at(-1);
  if (layer === undefined) throw new Error('a layer of an empty chain was asked for');
  if (options.rewriteTo !== undefined) {
    return await rewritten(deps, chain, { ...options, epoch: options.rewriteTo }, context);
  }
  const existing = await existingBlob(deps, chain, options);
  if (existing !== undefined) return ok(existing);
  const made = await make(deps, chain, options, context);
  if (!made.ok) return made;
  const { diffId, blob, size } = made.value;
  if (layer.diffId !== undefined && layer.diffId !== diffId) {
    return err(
      failure(
        'EX010',
        3,
        `layer ${layer.diffId} was read as ${diffId}: its extracted copy or its blob is damaged`,
        { help: 'build with --no-cache: damaged layers are then made again' },
      ),
    );
  }
  deps.layers.setDiffId(layer.id, diffId, size);
  deps.layers.addBlob(layer.id, blob);
  return ok({ diffId, blob, layer });
}

/** Layers of images and caches from outside have their diffID as id. */
export const isMadeHere = (layer: LayerRef): boolean => parseDigest(layer.id) === undefined;

async function existingBlob(
  deps: ImageDeps,
  chain: LayerChain,
  options: LayerOptions,
): Promise<LayerBlob | undefined> {
  const layer = chain.at(-1);
  if (layer === undefined) return undefined;
  const row = deps.layers.layer(layer.id);
  const diffId = layer.diffId ?? row?.diffId;
  if (diffId === undefined) return undefined;
  const all = [...(row?.blobs ?? []), ...(layer.blob === undefined ? [] : [layer.blob])];
  const wanted = all.filter((b) => layerCompression(b.mediaType) === options.compression);
  const having = async (blobs: readonly Descriptor[]): Promise<LayerBlob | undefined> => {
    for (const blob of blobs) {
      const here = (await deps.content.size(blob.digest)) === blob.size;
      if (here || (layer.origin !== undefined && blob.digest === layer.blob?.digest))
        return { diffId, blob, layer };
    }
    return undefined;
  };
  const found = await having(wanted);
  if (found !== undefined || options.force) return found;
  const remakes = options.remake === true && isMadeHere(layer);
  return remakes && (await deps.snapshotter.has(chain)) ? undefined : await having(all);
}

interface Made {
  readonly diffId: Digest;
  readonly blob: Descriptor;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
}

async function rewritten(
  deps: ImageDeps,
  chain: LayerChain,
  options: LayerOptions & { readonly epoch: number },
  context: ExportContext,
): Promise<Result<LayerBlob>> {
  const layer = chain.at(-1);
  if (layer === undefined) throw new Error('a layer of an empty chain was asked for');
  const key = `${layer.id} ${options.epoch} ${options.compression} ${options.level ?? ''}`;
  const known = remembered(deps.memo.get(MEMO, key));
  if (known !== undefined && (await deps.content.size(known.blob.digest)) === known.blob.size)
    return ok({ ...known, layer });
  const made = await make(deps, chain, options, context);
  if (!made.ok) return made;
  const { diffId, blob } = made.value;
  deps.memo.set(MEMO, key, Buffer.from(JSON.stringify({ diffId, blob })));
  return ok({ diffId, blob, layer });
}

function remembered(
  bytes: Uint8Array | undefined,
): { readonly diffId: Digest; readonly blob: Descriptor } | undefined {
  if (bytes === undefined) return undefined;
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!parsed.ok || !isRecord(parsed.value)) return undefined;
  const diffId = parseDigest(String(parsed.value['diffId']));
  const blob = decodeDescriptor(parsed.value['blob']);
  return diffId === undefined || typeof blob === 'string' ? undefined : { diffId, blob };
}

async function make(
  deps: ImageDeps,
  chain: LayerChain,
  options: LayerOptions & { readonly epoch?: number },
  context: ExportContext,
): Promise<Result<Made>> {
  const { signal } = context;
  const source = await tarOf(deps, chain, options.epoch, context);
  if (!source.ok) return source;
  const hash = createHash('sha256');
  let size = 0;
  const hashed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of source.value) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  const { compression, level } = options;
  const known = compression === 'gzip' ? new StoredBlocks(deps, signal) : undefined;
  const bytes =
    compression === 'uncompressed'
      ? hashed()
      : compress(hashed(), {
          format: compression,
          signal,
          ...(deps.maxParallel === undefined ? {} : { parallel: blocksAtOnce(deps.maxParallel) }),
          ...(level === undefined ? {} : { level }),
          ...(known === undefined ? {} : { known }),
        });
  try {
    const written = await deps.content.ingest(bytes, { signal });
    if (!written.ok) return written;
    const { digest, size: length } = written.value;
    known?.written(digest);
    const blob = { mediaType: layerMediaType(compression, 'oci'), digest, size: length };
    return ok({ diffId: digestOfHex(hash.digest('hex')), blob, size });
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    throw e;
  }
}

/** The uncompressed tar: for layers made here from the extracted copy, for others from the blob, whose bytes are the layer. */
async function tarOf(
  deps: ImageDeps,
  chain: LayerChain,
  epoch: number | undefined,
  context: ExportContext,
): Promise<Result<AsyncIterable<Uint8Array>>> {
  const { signal } = context;
  const layer = chain.at(-1);
  const row = layer === undefined ? undefined : deps.layers.layer(layer.id);
  if (
    layer !== undefined &&
    epoch === undefined &&
    (layer.blob !== undefined || (row?.blobs.length ?? 0) > 0)
  ) {
    const blob = await deps.fetchBlob(layer, context);
    if (blob.ok)
      return ok(decompress(deps.content.stream(blob.value.digest, { signal }), { signal }));
    if (!isMadeHere(layer)) return blob;
  }
  const options = { signal, ...(epoch === undefined ? {} : { epoch }) };
  const lower = (await deps.snapshotter.has(chain))
    ? await indexedBelow(deps, chain.slice(0, -1), context)
    : undefined;
  if (lower !== undefined) return ok(deps.snapshotter.tar(chain, { ...options, lower }));
  const ready = await deps.materialise(chain, context);
  if (!ready.ok) return ready;
  return ok(deps.snapshotter.tar(chain, options));
}

/** The tree below a layer that was written over indexes: the layers of it stay where they are. */
async function indexedBelow(
  deps: ImageDeps,
  below: LayerChain,
  context: ExportContext,
): Promise<FileTree | undefined> {
  const here = await Promise.all(below.map((_, i) => deps.snapshotter.has(below.slice(0, i + 1))));
  if (here.every(Boolean)) return undefined;
  return await deps.indexes?.tree(below, context, async (part) => {
    const ready = await deps.materialise(part, context);
    return ready.ok ? ok(await deps.snapshotter.tree(part)) : ready;
  });
}
