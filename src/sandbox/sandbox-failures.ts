import { type Failure, failure } from '../base/index.ts';
import type { SandboxLimits, SandboxSpec } from '../ports/index.ts';
import { limitsSwap, unlimitable } from './cgroup.ts';
import type { Machine } from './machine.ts';

/** Limits that would silently not hold are refused. */
export function refuseLimits(limits: SandboxLimits, machine: Machine): Failure | undefined {
  const none = { ...machine.cgroups, roots: [], controllers: [] };
  const lost = unlimitable(machine.rootless ? none : machine.cgroups, limits);
  if (limits.memorySwapBytes !== undefined && lost.length === 0 && !limitsSwap(machine.cgroups))
    lost.push('swap');
  if (lost.length === 0) return undefined;
  return failure('SB012', 3, `steps cannot be limited here in ${lost.join(' and ')}`, {
    help: machine.rootless
      ? 'control groups belong to root: run varve as root, or leave the limit out'
      : 'the kernel or its mounts lack the control group for it; see varve doctor',
  });
}

/** The runtime is not installed. */
export function runtimeMissing(program: string, cause: NodeJS.ErrnoException): Failure {
  return failure('SB001', 3, `the container runtime "${program}" cannot be started`, {
    help: 'install runc 1.1 or newer, or crun',
    cause,
  });
}

/** The runtime could not start the process: the user's doing when the program is not there, else the machine's. */
export function startFailure(spec: SandboxSpec, program: string, message: string): Failure {
  const said = message
    .replace(/^runc run failed: /, '')
    .replace(/^unable to start container process: /, '')
    // As crun says it.
    .replace(
      /^executable file [`'](.*)['`] not found( in \$PATH)?(?:: .*)?$/s,
      (_, name: string, where = ' in $PATH') =>
        `exec: ${JSON.stringify(name)}: executable file not found${where}`,
    );
  const users =
    /^exec(?::| )|^chdir to cwd|no such file or directory$|permission denied$|executable file not found/;
  if (users.test(said))
    return failure(
      'SB002',
      1,
      `process ${JSON.stringify(spec.args.join(' '))} could not be started: ${said}`,
    );
  return failure('SB003', 3, `${program} could not set up the sandbox of a step: ${said}`);
}
