import { ok, type Result } from '../base/index.ts';
import {
  type ExportContext,
  type ExportedLayer,
  type FileIndexBlob,
  fileIndexBlobs,
  type ImageDeps,
  type LayerBlob,
} from '../image/index.ts';
import type { BlobDownload } from '../ops/index.ts';
import type { CacheRemote, LayerChain, LayerId } from '../ports/index.ts';
import type { ExportedRecord } from '../solve/index.ts';

/** What exporting file indexes needs. */
export interface IndexExportDeps extends ImageDeps {
  /** Brings a blob that is no layer. */
  readonly download: BlobDownload;
}

/** Every layer of every result, with the layers below it. */
export function layerChains(exported: readonly ExportedRecord[]): ReadonlyMap<LayerId, LayerChain> {
  const chains = new Map<LayerId, LayerChain>();
  for (const { chain } of exported.flatMap((record) => record.results))
    for (const [i, { id }] of chain.entries())
      if (!chains.has(id)) chains.set(id, chain.slice(0, i + 1));
  return chains;
}

/** The file indexes of the layers that could be made. */
export async function exportedIndexes(
  deps: IndexExportDeps,
  chains: ReadonlyMap<LayerId, LayerChain>,
  made: ReadonlyMap<LayerId, Result<LayerBlob>>,
  context: ExportContext,
): Promise<readonly FileIndexBlob[]> {
  const { indexes } = deps;
  if (indexes === undefined) return [];
  const layers: ExportedLayer[] = [];
  for (const [id, chain] of chains) {
    const layer = made.get(id);
    if (layer?.ok === true) layers.push({ chain, diffId: layer.value.diffId });
  }
  return await fileIndexBlobs({ ...deps, indexes }, layers, context);
}

/** Sends one index to where the cache goes, unless it is there. */
export async function writeIndex(
  deps: IndexExportDeps,
  { blob, origin }: FileIndexBlob,
  remote: CacheRemote,
  context: ExportContext,
): Promise<Result<'written' | 'exists'>> {
  const { signal } = context;
  const obtain = async (): Promise<Result<void>> =>
    origin === undefined ? ok(undefined) : await deps.download(origin, blob, context);
  return await remote.write(blob, {
    signal,
    obtain,
    ...(origin === undefined ? {} : { from: origin }),
  });
}
