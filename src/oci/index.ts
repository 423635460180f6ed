export type { Descriptor, Platform } from './types.ts';
