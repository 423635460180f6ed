import type { Failure } from '../base/index.ts';
import type { Io } from './io.ts';
import { snapshotForm } from './snapshot-form.ts';

/** Makes the action of a command whose module is loaded when it is run. */
export type Run = <A extends readonly unknown[]>(
  load: () => Promise<(io: Io, ...args: A) => Promise<number>>,
) => (...args: A) => Promise<void>;

/** Collects the values of an option that may be given several times. */
export const collect = (value: string, all: readonly string[] | undefined): readonly string[] => [
  ...(all ?? []),
  value,
];

/** What is wrong with a variable that all commands take. */
export async function wrongEnvironment(env: Io['env']): Promise<Failure | undefined> {
  const form = snapshotForm(env);
  if (!form.ok) return form.error;
  if (!Object.keys(env).some((name) => name.startsWith('VARVE_NETWORK_'))) return undefined;
  const { networkLimits } = await import('./network-limits.ts');
  const limits = networkLimits(env);
  return limits.ok ? undefined : limits.error;
}
