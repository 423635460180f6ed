import type { Command } from 'commander';
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

/** What commands that run steps let each of them use, and how long they may take. */
export function addLimits(command: Command): Command {
  return command
    .option('-m, --memory <size>', 'memory limit of each step')
    .option('--memory-swap <size>', 'limit of memory and swap together of each step; -1: any')
    .option('--cpus <number>', 'processors of each step')
    .option('--cpuset-cpus <list>', 'processors that steps may run on, e.g. 0-2,4')
    .option('--pids-limit <number>', 'processes of each step')
    .option(
      '--step-limit <pattern:limits>',
      'limits of the steps whose name has the pattern in it: PATTERN:memory=2g,cpus=1.5,pids=100,timeout=60',
      collect,
    )
    .option(
      '--runtime <program>',
      'OCI runtime that runs steps (default: VARVE_RUNTIME, crun where it works, or runc)',
    )
    .option('--timeout <seconds>', 'stop the build when it takes longer')
    .option('--step-timeout <seconds>', 'end a step that runs longer');
}

/** Limits of a build as a whole, beside those of `addLimits`. */
export function addBuildLimits(command: Command): Command {
  return command
    .option('--build-memory <size>', 'memory limit of all steps together')
    .option('--build-cpus <number>', 'processors of all steps together')
    .option('--build-pids-limit <number>', 'processes of all steps together');
}

/** What is wrong with a variable that all commands take. */
export async function wrongEnvironment(env: Io['env']): Promise<Failure | undefined> {
  const form = snapshotForm(env);
  if (!form.ok) return form.error;
  if (!Object.keys(env).some((name) => name.startsWith('VARVE_NETWORK_'))) return undefined;
  const { networkLimits } = await import('./network-limits.ts');
  const limits = networkLimits(env);
  return limits.ok ? undefined : limits.error;
}
