import { join } from 'node:path';

/** What the environment variable `VARVE_TORTURE` asks of the preloaded module (`faults.ts`), as JSON. */
export interface FaultPlan {
  /** Store whose transitions count. */
  readonly root: string;
  /** Further directories whose transitions count: where outputs go. */
  readonly also: readonly string[];
  /** Every transition is written to this file, a name a line. */
  readonly record?: string;
  /** The process is killed at the nth time that this transition is reached. */
  readonly kill?: {
    readonly point: string;
    readonly nth: number;
    /** Before it, after it, or with half of the bytes written. */
    readonly when: 'before' | 'after' | 'torn';
  };
  /** From the nth write on (or only there) there is no space on the disk. */
  readonly full?: {
    readonly nth: number;
    readonly once: boolean;
    /** Only writes at this transition count; there is no space for others either after the nth. */
    readonly point?: string;
  };
  /** The process stands still before the nth of a transition: it makes the one file and waits for the other. */
  readonly pause?: {
    readonly point: string;
    readonly nth: number;
    readonly reached: string;
    readonly go: string;
  };
  /** The clock is so many milliseconds ahead. */
  readonly clockMs?: number;
  /** A file that is made when the fault happened. */
  readonly happened?: string;
}

/** The module that is preloaded. */
export const FAULTS: string = join(import.meta.dirname, 'faults.ts');

/** Under this name the preloaded module takes another plan. */
export const ARM: symbol = Symbol.for('varve.torture.arm');

/** The variable's name. */
export const TORTURE = 'VARVE_TORTURE';
