export { createFileDriver, type FileDriverDeps } from './file-driver.ts';
export { createLocalDriver, isLocalSource, LocalSources } from './source-local.ts';
export { createTreeProvider, type TreeProviderDeps } from './source-local-tree.ts';
