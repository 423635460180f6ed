/** Media types of the OCI image specification (image-spec, media-types.md) and of Docker's schema 2 (distribution, manifest-v2-2.md). */
export const MEDIA = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerForeignGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
} as const;

/** Annotation of an index's entry that is no image but says something about one. */
export const REFERENCE_TYPE = 'vnd.docker.reference.type';
/** Annotation of such an entry: the digest of the image's manifest. */
export const REFERENCE_DIGEST = 'vnd.docker.reference.digest';

/** A blob with file indexes of layers, which a cache manifest lists behind its layers (docs/adr/0051). */
export const FILE_INDEX_MEDIA_TYPE = 'application/vnd.varve.file-index.v1.json+zstd';

/** Annotation of such a blob's descriptor with the diffID of the one layer in it; absent on a blob of several small ones. */
export const INDEXED_LAYER = 'dev.varve.file-index.layer';

/** A blob with what executions of steps looked like, listed in the same way (docs/adr/0063). */
export const STEP_TRACES_MEDIA_TYPE = 'application/vnd.varve.step-traces.v1.json+zstd';

/** How a layer blob is compressed. */
export type Compression = 'uncompressed' | 'gzip' | 'zstd';

/** True for an image index or a Docker manifest list. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA.ociIndex || mediaType === MEDIA.dockerList;
}

/** True for a manifest of one image. */
export function isManifestType(mediaType: string): boolean {
  return mediaType === MEDIA.ociManifest || mediaType === MEDIA.dockerManifest;
}

/** The compression a layer media type names; undefined for what is no layer known here. */
export function layerCompression(mediaType: string): Compression | undefined {
  const type = mediaType.replace('.nondistributable', '').replace('.foreign', '');
  switch (type) {
    case MEDIA.ociLayer:
    case MEDIA.dockerLayer:
      return 'uncompressed';
    case MEDIA.ociLayerGzip:
    case MEDIA.dockerLayerGzip:
      return 'gzip';
    case MEDIA.ociLayerZstd:
    case MEDIA.dockerLayerZstd:
      return 'zstd';
    default:
      return undefined;
  }
}

/** The media type of a layer in one of the two families. */
export function layerMediaType(compression: Compression, family: 'oci' | 'docker'): string {
  const oci = family === 'oci';
  switch (compression) {
    case 'uncompressed':
      return oci ? MEDIA.ociLayer : MEDIA.dockerLayer;
    case 'gzip':
      return oci ? MEDIA.ociLayerGzip : MEDIA.dockerLayerGzip;
    case 'zstd':
      return oci ? MEDIA.ociLayerZstd : MEDIA.dockerLayerZstd;
  }
}
