export type { UpkeepDeps, UpkeepPaths } from './deps.ts';
export { takeInventory } from './inventory.ts';
export type { PackageDir } from './package-dirs.ts';
export { carryOut, type Removed, trimming } from './remove.ts';
export { type Repair, type RepairOptions, repairStore } from './repair.ts';
export { diskOf, stateOf, type Trimmed, type TrimOptions, trim, trimByPolicy } from './trim.ts';
export { isOver } from './used.ts';
export { type Problem, type Verified, type VerifyOptions, verifyStore } from './verify.ts';
