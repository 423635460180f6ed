export {
  ANNOTATION_PLACES,
  type Annotation,
  type AnnotationPlace,
  annotationsOn,
} from './annotations.ts';
export {
  type AssembleOptions,
  assembleImage,
  assembleIndex,
  type BuiltImage,
  type ImageParts,
  inFamily,
} from './assemble.ts';
export {
  ATTESTATION,
  type AttestationManifest,
  assembleAttestation,
  type Statement,
} from './attestation.ts';
export type { ExportContext, ImageDeps } from './deps.ts';
export { type ExportedLayer, type FileIndexBlob, fileIndexBlobs } from './file-indexes.ts';
export { clampHistory, completeHistory, goTime } from './history.ts';
export {
  diffImageFiles,
  type FileDifference,
  type ImageFile,
  type ImageFiles,
  imageFiles,
  installedPackages,
} from './image-files.ts';
export { type LayerBlob, type LayerOptions, layerBlob } from './layer-blob.ts';
export { type LayerFile, layerListing } from './layer-listing.ts';
export { type LoadedImage, loadImages, loadLayout } from './load.ts';
export {
  attestationsOf,
  findImageRow,
  fullName,
  inspectImage,
  type ListedImage,
  listImages,
  platformsOf,
  removeImage,
  type StoreDeps,
  type StoredImage,
  tagImage,
} from './store.ts';
