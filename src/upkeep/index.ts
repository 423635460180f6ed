export type { UpkeepDeps, UpkeepPaths } from './deps.ts';
export { takeInventory } from './inventory.ts';
