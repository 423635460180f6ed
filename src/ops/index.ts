export type { CacheMountInfo, CacheMountSync } from './cache-mount-slot.ts';
export { type CacheMountOffer, type CacheMounts, createCacheMounts } from './cache-mounts.ts';
export { createDiffDriver } from './diff-driver.ts';
export { createExecDriver, type ExecDriverDeps } from './exec-driver.ts';
export type { CacheMountOffers, ExecSecrets } from './exec-mounts.ts';
export { createFileDriver, type FileDriverDeps } from './file-driver.ts';
export { isTarArchive } from './file-unpack.ts';
export { createMergeDriver, type MergeDriverDeps } from './merge-driver.ts';
export { createOpResolver, type OpWorld } from './op-resolver.ts';
export {
  createImageDriver,
  type ImageDriverDeps,
  imageChain,
  isImageSource,
  ociPlatform,
} from './source-image.ts';
export {
  type BlobDownload,
  type BlobFetcher,
  createBlobDownload,
  createBlobFetcher,
  type MaterializerDeps,
} from './source-image-fetch.ts';
export { createLayerIndexes, type LayerIndexDeps } from './source-image-index.ts';
export { rememberImageChain, withLocalLayers } from './source-image-local.ts';
export { createMaterializer } from './source-image-materialize.ts';
export {
  createImageResolver,
  type FoundImage,
  type ImageResolver,
  type ImageResolverDeps,
  type ResolveOptions,
} from './source-image-resolver.ts';
export { createLocalDriver, isLocalSource, LocalSources } from './source-local.ts';
export { createTreeProvider, type TreeProviderDeps } from './source-local-tree.ts';
export { SourceMemory } from './source-memory.ts';
export type { TemplateDeps } from './template.ts';
export { type ComposedImage, composeImage } from './template-compose.ts';
export { createTemplateDriver, isTemplateSource, lazyShelf } from './template-source.ts';
