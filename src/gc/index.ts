export { type Cost, ENTRY_KINDS, type Entry, type EntryKind, type Hold } from './entry.ts';
export { type EntryFilter, findEntries, parseFilter, SORTS } from './filter.ts';
export {
  formatAge,
  formatSize,
  type GcPlan,
  type GcRule,
  type GcState,
  planGc,
  planPrune,
  type Removal,
  type Unmet,
} from './plan.ts';
export {
  bytesOf,
  type Disk,
  type GcPolicy,
  isEmptyPolicy,
  merged,
  PRESETS,
} from './policy.ts';
export { decodePolicy, parseAge, parseSize } from './policy-text.ts';
