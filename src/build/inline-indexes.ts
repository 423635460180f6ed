import { type Digest, ok, type Result } from '../base/index.ts';
import type { ImageResult } from '../export/index.ts';
import {
  type BuiltImage,
  type ExportContext,
  type ExportedLayer,
  type FileIndexBlob,
  fileIndexBlobs,
} from '../image/index.ts';
import { type Descriptor, MEDIA, parseReference, repositoryOf } from '../oci/index.ts';
import type { LayerIndexes, Registry } from '../ports/index.ts';
import {
  decodeImageIndexes,
  EMPTY_CONFIG,
  emptyConfig,
  encodeImageIndexes,
  IMAGE_INDEXES_TYPE,
} from '../remotes/index.ts';
import type { IndexExportDeps } from './export-indexes.ts';
import { internalVertex, type StepReport } from './internal-step.ts';

const ORIGIN = 'docker-image://';
/** Manifests with indexes of one image that are read: one for each set that somebody could make. */
const MAX_FOUND = 4;

/** What pushing the file indexes of images needs. */
export interface ImageIndexDeps extends IndexExportDeps {
  readonly registry: Registry;
}

/**
 * Pushes the file indexes of images that are their own cache, as manifests that refer to the images: an image stays as it is,
 * and who imports its cache finds them. That a registry takes none is said, and costs new machines the layers below a COPY.
 */
export async function pushImageIndexes(
  deps: ImageIndexDeps,
  pushed: readonly ImageResult[],
  report: StepReport & { readonly signal: AbortSignal },
): Promise<Result<void>> {
  if (pushed.length === 0) return ok(undefined);
  return await internalVertex(
    report,
    'exporting file indexes of the inline cache',
    async (step) => {
      const context: ExportContext = { signal: report.signal, emit: report.emit, vertex: step.op };
      for (const { images, names } of pushed)
        for (const image of images) {
          const indexes = await indexesOf(deps, image, context);
          for (const name of indexes.length === 0 ? [] : repositories(names)) {
            const sent = await push(deps, name, { image: image.manifest, indexes }, context);
            if (!sent.ok)
              report.emit({
                type: 'warning',
                vertex: step.vertex,
                rule: 'CacheExport',
                message: `the file indexes of the inline cache were not stored in ${name}: ${sent.error.message}`,
                detail: [
                  'the cache itself is in the image; a COPY on a new machine fetches the layers below it',
                ],
              });
          }
        }
      return ok(undefined);
    },
  );
}

/** The indexes of an image's layers, as far as they can be made; none of layers that were written anew for the image. */
async function indexesOf(
  deps: ImageIndexDeps,
  { layers }: BuiltImage,
  context: ExportContext,
): Promise<readonly FileIndexBlob[]> {
  const { indexes } = deps;
  if (indexes === undefined) return [];
  const chain = layers.map(({ layer }) => layer);
  const exported = layers.flatMap(({ layer, diffId }, i): ExportedLayer[] => {
    const own = layer.diffId ?? deps.layers.layer(layer.id)?.diffId ?? diffId;
    return own === diffId ? [{ chain: chain.slice(0, i + 1), diffId }] : [];
  });
  return await fileIndexBlobs({ ...deps, indexes }, exported, context);
}

/** Each repository once, whatever tags it got. */
function repositories(names: readonly string[]): readonly string[] {
  const all = names.flatMap((name) => {
    const parsed = parseReference(name);
    return parsed.ok ? [repositoryOf(parsed.value)] : [];
  });
  return [...new Set(all)];
}

async function push(
  deps: ImageIndexDeps,
  repository: string,
  what: { readonly image: Descriptor; readonly indexes: readonly FileIndexBlob[] },
  context: ExportContext,
): Promise<Result<void>> {
  const { registry, content } = deps;
  const { signal } = context;
  await content.put(EMPTY_CONFIG);
  for (const { blob, origin } of [{ blob: emptyConfig() }, ...what.indexes] as FileIndexBlob[]) {
    if (origin !== undefined) {
      const here = await deps.download(origin, blob, context);
      if (!here.ok) return here;
    }
    const sent = await registry.pushBlob(`${repository}@${blob.digest}`, blob, { signal });
    if (!sent.ok) return sent;
  }
  const { digest } = what.image;
  const bytes = encodeImageIndexes(
    what.image,
    what.indexes.map(({ blob }) => blob),
  );
  return await registry.pushReferrer(
    `${repository}@${digest}`,
    { bytes, mediaType: MEDIA.ociManifest, artifactType: IMAGE_INDEXES_TYPE, subject: digest },
    { signal },
  );
}

/** Makes what finds the file indexes of an image in the repository that its layers come from (`LayerRef.origin`). */
export function imageIndexFinder(
  registry: Registry,
): (
  origin: string,
  image: Digest,
  options: { readonly signal: AbortSignal },
) => Promise<Result<readonly Descriptor[]>> {
  return async (origin, image, { signal }) => {
    if (!origin.startsWith(ORIGIN)) return ok([]);
    const repository = origin.slice(ORIGIN.length);
    const options = { signal, artifactType: IMAGE_INDEXES_TYPE };
    const referring = await registry.referrers(`${repository}@${image}`, image, options);
    if (!referring.ok) return referring;
    const found: Descriptor[] = [];
    for (const { digest } of referring.value.slice(-MAX_FOUND)) {
      const manifest = await registry.manifest(`${repository}@${digest}`, { signal });
      if (!manifest.ok) return manifest;
      found.push(...decodeImageIndexes(manifest.value.bytes, digest));
    }
    return ok(found);
  };
}

/** Tells the indexes of a build of the images whose inline caches were imported. */
export function offerImage(indexes: LayerIndexes | undefined, origin: string, image: Digest): void {
  if (origin.startsWith(ORIGIN)) indexes?.offerImage(origin, image);
}
