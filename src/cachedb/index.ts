export type { NamesMirror } from './images.ts';
export {
  type FoundLayer,
  openStateDb,
  type Recovery,
  type StateDb,
  type StateDbOptions,
} from './state-db.ts';
export { createWorkLocks } from './work-locks.ts';
