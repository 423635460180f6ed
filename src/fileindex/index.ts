export { decodeFileIndexes } from './decode.ts';
export { encodeFileIndexes, type IndexedLayer, inTarForm } from './encode.ts';
export { MAX_INDEX_BYTES, MAX_INDEX_TEXT } from './format.ts';
export { IndexTree } from './index-tree.ts';
