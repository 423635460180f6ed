export { formatSize } from '../base/index.ts';
export { type Cost, ENTRY_KINDS, type Entry, type EntryKind, type Hold } from './entry.ts';
export { type EntryFilter, findEntries, parseFilter, SORTS } from './filter.ts';
export {
  formatAge,
  type GcPlan,
  type GcRule,
  type GcState,
  planGc,
  planPrune,
  type Removal,
  removable,
  type Unmet,
} from './plan.ts';
export {
  bytesOf,
  DEFAULT_PRESET,
  type Disk,
  type GcPolicy,
  isEmptyPolicy,
  merged,
  PRESETS,
} from './policy.ts';
export { decodePolicy, parseAge, parseSize } from './policy-text.ts';
