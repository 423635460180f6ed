import type { SandboxExit, SandboxGroup, SandboxLimits } from '../ports/index.ts';

/** What ends steps that use too much. */
export interface LimitDeps {
  /** Limits of a step, by its name as it is shown. */
  readonly limitsOf?: (name: string) => SandboxLimits;
  /** What all steps of the build together may use. */
  readonly group?: SandboxGroup;
}

/** The limits that held for one run. */
export interface HeldLimits {
  readonly limits: SandboxLimits | undefined;
  readonly group: SandboxGroup | undefined;
}

/** How a run ended, as a failure says it. */
export function endText(exit: SandboxExit, { limits }: HeldLimits): string {
  return exit.timedOut
    ? `time limit of ${(limits?.timeoutMs ?? 0) / 1000} s exceeded`
    : `exit code: ${exit.code}`;
}

/** Which limit of memory a run met; undefined when it met none. */
export function memoryText(exit: SandboxExit, held: HeldLimits): string | undefined {
  if (!exit.outOfMemory) return undefined;
  const [step, build] = [held.limits?.memoryBytes, held.group?.limits.memoryBytes];
  const reached = [
    ...(step === undefined ? [] : [`the memory limit of ${step} bytes`]),
    ...(build === undefined ? [] : [`the build's memory limit of ${build} bytes`]),
  ];
  return `a process was ended because ${reached.join(' or ')} was reached`;
}
