import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unmountIfMounted } from '../sys/index.ts';
import { removeAbandonedParent } from './build-groups.ts';
import { removeCgroup } from './cgroup.ts';
import { type Machine, readMachine } from './machine.ts';
import { abandonedRuns } from './run-owner.ts';
import { deleteContainer, type RuntimeContainer } from './run-runtime.ts';

/** Below a bundle: a memory file system, where there are secrets. */
export const SECRETS = 'secrets';

/** The container of a run. `isHidden`: what the runtime notes of it is kept in memory. */
export function containerOf(
  stateDir: string,
  run: { readonly id: string; readonly program: string; readonly isHidden: boolean },
): RuntimeContainer {
  const { id, program, isHidden } = run;
  const bundle = join(stateDir, id);
  return {
    ...{ program, id, bundle },
    root: isHidden ? hiddenState(stateDir, id) : join(stateDir, 'runtime'),
    logFile: join(bundle, 'log.json'),
  };
}

/** Ends and removes what runs of killed processes left: containers, control groups, mounts of secrets, bundles. */
export async function removeAbandonedRuns(stateDir: string): Promise<void> {
  let machine: Machine | undefined;
  for (const abandoned of abandonedRuns(stateDir)) {
    using run = abandoned;
    const isHidden = existsSync(hiddenState(stateDir, run.id));
    const container = containerOf(stateDir, { ...run, isHidden });
    if (existsSync(container.bundle)) await deleteContainer(container);
    machine ??= readMachine();
    removeCgroup(machine.cgroups, run.cgroupsPath);
    removeAbandonedParent(machine.cgroups, run.cgroupsPath);
    unmountIfMounted(join(container.bundle, SECRETS));
    rmSync(container.bundle, { recursive: true, force: true });
  }
}

/** Where a runtime notes a container with secrets in its environment: crun copies all of `config.json`. */
const hiddenState = (stateDir: string, id: string): string =>
  join(stateDir, id, SECRETS, 'runtime');
