import type { SandboxLimits } from '../ports/index.ts';

/** Limits of the steps whose names hold a pattern. */
export interface LimitsByName {
  /** Text that the name of the step, as it is shown, has somewhere; `*` is any text. */
  readonly pattern: string;
  readonly limits: SandboxLimits;
}

/** What one step may use. */
export function stepLimits(
  request: {
    readonly limits: SandboxLimits;
    readonly limitsByName?: readonly LimitsByName[];
  },
  name: string,
): SandboxLimits {
  return (request.limitsByName ?? [])
    .filter(({ pattern }) => holds(name, pattern))
    .reduce((all, { limits }) => ({ ...all, ...limits }), request.limits);
}

/** Whether the parts of the pattern stand in the name, one behind the other. Linear in the name. */
function holds(name: string, pattern: string): boolean {
  let at = 0;
  for (const part of pattern.split('*')) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return true;
}
