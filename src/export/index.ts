export { writeTreeFile } from './file-output.ts';
export {
  type ArchiveTarget,
  type Attach,
  fetchLayers,
  type ImageResult,
  makeImage,
  storeImage,
  writeArchive,
} from './image-output.ts';
export { withKnownPlaces } from './known-places.ts';
export { type ArchiveImage, layoutParts, layoutTar } from './layout-tar.ts';
export { pushImage } from './push.ts';
export { type ExtraFile, type OutputTree, writeTreeLocal, writeTreeTar } from './tree-output.ts';
