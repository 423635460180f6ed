import { awaitAll, type Digest, ok, type Result } from '../base/index.ts';
import {
  type Descriptor,
  encodeImageConfig,
  encodeIndex,
  encodeManifest,
  type HistoryItem,
  layerCompression,
  layerMediaType,
  MEDIA,
  type Platform,
} from '../oci/index.ts';
import { rememberImageChain } from '../ops/index.ts';
import type { LayerChain } from '../ports/index.ts';
import { type Annotation, annotationsOn } from './annotations.ts';
import type { AttestationManifest } from './attestation.ts';
import type { ExportContext, ImageDeps } from './deps.ts';
import { clampHistory, completeHistory, goTime, isAfter } from './history.ts';
import { type LayerBlob, type LayerOptions, layerBlob } from './layer-blob.ts';

/** One platform's result and configuration. */
export interface ImageParts {
  readonly chain: LayerChain;
  /** The configuration as the front end made it: `rootfs` is replaced, `history` completed. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly history: readonly HistoryItem[];
  /** History of the base image: its times are never clamped. */
  readonly baseHistory?: readonly HistoryItem[];
  /** Layers of the base image, the lowest of the chain: the times of their files are never clamped. */
  readonly baseLayers?: number;
  readonly platform: Platform;
  /** What made each layer, for history items that are missing. */
  readonly descriptions?: readonly (string | undefined)[];
  /** `moby.buildkit.cache.v0`: base64 of the inline cache. */
  readonly inlineCache?: string;
}

/** How an image is written. */
export interface AssembleOptions extends Omit<LayerOptions, 'rewriteTo'> {
  readonly mediaTypes: 'oci' | 'docker';
  /** SOURCE_DATE_EPOCH, seconds. */
  readonly epoch?: number;
  /** Clamps the times of files as well. */
  readonly rewriteTimestamp?: boolean;
  readonly annotations?: readonly Annotation[];
}

/** An image of one platform: manifest and configuration are in the content store, layers here or where their origin says. */
export interface BuiltImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly LayerBlob[];
  readonly platform: Platform;
  /** RFC 3339. */
  readonly created?: string;
}

/** Writes the layers, configuration and manifest of one image (BuildKit exporter/containerimage). */
export async function assembleImage(
  deps: ImageDeps,
  parts: ImageParts,
  options: AssembleOptions,
  context: ExportContext,
): Promise<Result<BuiltImage>> {
  const { epoch, ...layerOptions } = options;
  const rewrite =
    options.rewriteTimestamp === true && epoch !== undefined ? { rewriteTo: epoch } : {};
  // A base image that was built here keeps its times as one that was pulled does; a step's layer that came with a cache is
  // clamped as one that was made here.
  const base =
    parts.baseLayers ??
    (parts.baseHistory ?? []).filter((item) => item.empty_layer !== true).length;
  const done = await awaitAll(
    parts.chain.map((_, i) =>
      layerBlob(
        deps,
        parts.chain.slice(0, i + 1),
        { ...layerOptions, ...(i < base ? {} : rewrite) },
        context,
      ),
    ),
  );
  const layers: LayerBlob[] = [];
  for (const layer of done) {
    if (!layer.ok) return layer;
    layers.push(layer.value);
  }
  rememberImageChain(
    deps.memo,
    parts.chain,
    layers.map((layer) => layer.diffId),
  );
  const json = configJson(parts, layers, epoch);
  const configBytes = encodeImageConfig(json);
  const oci = options.mediaTypes === 'oci';
  const config: Descriptor = {
    mediaType: oci ? MEDIA.ociConfig : MEDIA.dockerConfig,
    digest: await deps.content.put(configBytes),
    size: configBytes.length,
  };
  const bytes = encodeManifest({
    mediaType: oci ? MEDIA.ociManifest : MEDIA.dockerManifest,
    config,
    layers: layers.map(({ blob }) => inFamily(blob, options.mediaTypes)),
    ...annotationsOn(options.annotations, 'manifest', parts.platform),
  });
  const manifest: Descriptor = {
    mediaType: oci ? MEDIA.ociManifest : MEDIA.dockerManifest,
    digest: await deps.content.put(bytes),
    size: bytes.length,
  };
  const { created } = json;
  return ok({
    manifest,
    config,
    layers,
    platform: parts.platform,
    ...(typeof created === 'string' ? { created } : {}),
  });
}

/** Writes the index over the images of several platforms, in the order of the request, and what is said of them behind. */
export async function assembleIndex(
  deps: Pick<ImageDeps, 'content'>,
  images: readonly BuiltImage[],
  attestations: readonly AttestationManifest[],
  options: Pick<AssembleOptions, 'mediaTypes' | 'annotations'>,
): Promise<Descriptor> {
  const mediaType = options.mediaTypes === 'oci' ? MEDIA.ociIndex : MEDIA.dockerList;
  const bytes = encodeIndex({
    mediaType,
    manifests: [
      ...images.map(({ manifest, platform }) => ({
        ...manifest,
        ...annotationsOn(options.annotations, 'manifest-descriptor', platform),
        platform,
      })),
      ...attestations.map((attestation) => attestation.descriptor),
    ],
    ...annotationsOn(options.annotations, 'index'),
  });
  return { mediaType, digest: await deps.content.put(bytes), size: bytes.length };
}

function configJson(
  parts: ImageParts,
  layers: readonly LayerBlob[],
  epoch: number | undefined,
): Readonly<Record<string, unknown>> {
  const facts = parts.chain.map((layer, i) => {
    const description = parts.descriptions?.[i];
    return { createdAt: layer.createdAt, ...(description === undefined ? {} : { description }) };
  });
  const completed = completeHistory(parts.history, facts);
  const history =
    epoch === undefined ? completed : clampHistory(completed, parts.baseHistory ?? [], epoch);
  const own = typeof parts.config['created'] === 'string' ? parts.config['created'] : undefined;
  const clamped =
    own !== undefined && epoch !== undefined && isAfter(own, epoch) ? goTime(epoch * 1000) : own;
  const last = history.findLast((item) => item.created !== undefined)?.created;
  const diffIds: readonly Digest[] = layers.map((layer) => layer.diffId);
  return {
    ...parts.config,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history,
    created: clamped ?? last ?? null,
    ...(parts.inlineCache === undefined ? {} : { 'moby.buildkit.cache.v0': parts.inlineCache }),
  };
}

/** A layer's descriptor as a manifest of that family names it: without annotations, which are the store's own. */
export function inFamily(blob: Descriptor, family: 'oci' | 'docker'): Descriptor {
  const compression = layerCompression(blob.mediaType);
  const mediaType =
    compression === undefined ? blob.mediaType : layerMediaType(compression, family);
  return { mediaType, digest: blob.digest, size: blob.size };
}
