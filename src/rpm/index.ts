export {
  type Bound,
  type Capability,
  capability,
  type Dependency,
  dependencyText,
  meets,
  namesIn,
  parseDependency,
  type Rich,
} from './dependency.ts';
export { compareEvr, compareSegments, type Evr, evrText, parseEvr } from './evr.ts';
export { FilelistsReader, isPrimaryPath } from './filelists.ts';
export { INTRO, RpmHeader, TAG } from './header.ts';
export { Pool, type PoolOptions, type PoolPackage, type PoolSource } from './pool.ts';
export { PrimaryReader } from './primary.ts';
export { nevra, type RpmRecord, versionOf } from './record.ts';
export { parseRepomd, type Repomd, type RepomdFile } from './repomd.ts';
export type { Rule, RuleKind, Wish } from './rules.ts';
export { type Solution, solve } from './solve.ts';
