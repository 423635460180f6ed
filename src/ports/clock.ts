import type { Millis } from '../events/index.ts';

/** The time; tests hand in one they control. */
export interface Clock {
  /** Milliseconds since the Unix epoch, with fractions. */
  now(): Millis;
}
