export { createContentStore, sweepContent } from './content-store.ts';
export { holdingStore } from './holding-store.ts';
export { createNamesFile, type NamesFile } from './names-file.ts';
