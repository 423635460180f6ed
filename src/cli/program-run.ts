import type { Io } from './io.ts';

/** Makes the action of a command whose module is loaded when it is run. */
export type Run = <A extends readonly unknown[]>(
  load: () => Promise<(io: Io, ...args: A) => Promise<number>>,
) => (...args: A) => Promise<void>;

/** Collects the values of an option that may be given several times. */
export const collect = (value: string, all: readonly string[] | undefined): readonly string[] => [
  ...(all ?? []),
  value,
];
