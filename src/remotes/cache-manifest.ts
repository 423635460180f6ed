import { err, failure, ok, parseDigest, type Result } from '../base/index.ts';
import {
  type Descriptor,
  encodeIndex,
  encodeManifest,
  type ManifestOrIndex,
  MEDIA,
} from '../oci/index.ts';
import { CACHE_CONFIG_MEDIA_TYPE } from './cache-config.ts';
import type { GraphLayer } from './cache-graph.ts';
import type { LayerFacts } from './decode-cache-config.ts';

/** Annotation of a layer with the digest of its uncompressed tar (containerd `labels.LabelUncompressed`). */
const UNCOMPRESSED = 'containerd.io/uncompressed';
/** Annotation of a layer with the time it was made (BuildKit cache/blobs). */
const CREATED_AT = 'buildkit/createdat';

/**
 * What carries a cache: an image manifest with the cache config and every layer (BuildKit `image-manifest=true`), or an index
 * or Docker manifest list that names them (`image-manifest=false`, the config last). What else belongs to the cache stands
 * behind the layers: a reader looks a layer up by the digest its config names, so that others do not disturb it, and a
 * registry keeps them as long as the cache.
 */
export function encodeCacheManifest(
  config: Omit<Descriptor, 'mediaType'>,
  layers: readonly GraphLayer[],
  options: {
    readonly others?: readonly Descriptor[];
    readonly carrier?: 'index' | 'docker-list';
    readonly annotations?: Readonly<Record<string, string>>;
  } = {},
): { readonly bytes: Uint8Array; readonly mediaType: string } {
  const { carrier, others = [], ...annotations } = options;
  const named = { mediaType: CACHE_CONFIG_MEDIA_TYPE, ...config };
  const descriptors = [...layers.map(layerDescriptor), ...others];
  if (carrier === undefined) {
    const mediaType = MEDIA.ociManifest;
    const manifest = { mediaType, config: named, layers: descriptors, ...annotations };
    return { bytes: encodeManifest(manifest), mediaType };
  }
  const mediaType = carrier === 'index' ? MEDIA.ociIndex : MEDIA.dockerList;
  const manifests = [...descriptors, named];
  return { bytes: encodeIndex({ mediaType, manifests, ...annotations }), mediaType };
}

function layerDescriptor(layer: GraphLayer): Descriptor {
  return {
    mediaType: layer.mediaType,
    digest: layer.blob,
    size: layer.size,
    annotations: {
      ...(layer.createdAt === undefined ? {} : { [CREATED_AT]: layer.createdAt }),
      [UNCOMPRESSED]: layer.diffId,
    },
  };
}

/** What a manifest under a cache's name is. */
export type CacheCarrier =
  | { readonly kind: 'cache'; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  /** Images, which may hold an inline cache. */
  | { readonly kind: 'image'; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  | { readonly kind: 'images'; readonly manifests: readonly Descriptor[] };

/** Tells caches in either of BuildKit's forms (image manifest, index) from images. */
export function cacheCarrier(document: ManifestOrIndex): Result<CacheCarrier> {
  if (document.kind === 'manifest') {
    const { config, layers } = document.manifest;
    if (config.mediaType === CACHE_CONFIG_MEDIA_TYPE) return ok({ kind: 'cache', config, layers });
    if (config.mediaType === MEDIA.ociConfig || config.mediaType === MEDIA.dockerConfig)
      return ok({ kind: 'image', config, layers });
    return err(
      failure('RC002', 3, `${JSON.stringify(config.mediaType.slice(0, 100))} holds no build cache`),
    );
  }
  const { manifests } = document.index;
  const config = manifests.find((d) => d.mediaType === CACHE_CONFIG_MEDIA_TYPE);
  return config === undefined
    ? ok({ kind: 'images', manifests })
    : ok({ kind: 'cache', config, layers: manifests.filter((d) => d !== config) });
}

/** What the descriptors of a cache manifest say of its layers; those without a valid diffID are not known. */
export function layerFacts(layers: readonly Descriptor[]): LayerFacts {
  const known = new Map<string, Omit<GraphLayer, 'blob'>>();
  for (const { digest, mediaType, size, annotations } of layers) {
    const diffId = parseDigest(annotations?.[UNCOMPRESSED] ?? '');
    if (diffId === undefined) continue;
    const createdAt = annotations?.[CREATED_AT];
    known.set(digest, {
      mediaType,
      size,
      diffId,
      ...(createdAt === undefined ? {} : { createdAt }),
    });
  }
  return (blob) => known.get(blob);
}
