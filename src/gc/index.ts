export { type Cost, ENTRY_KINDS, type Entry, type EntryKind, type Hold } from './entry.ts';
