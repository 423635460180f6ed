export { createContentStore, sweepContent } from './content-store.ts';
export { createNamesFile, type NamesFile } from './names-file.ts';
