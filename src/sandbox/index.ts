export { removeAbandonedRuns } from './abandoned-runs.ts';
export { createSandbox, type SandboxOptions } from './runc-sandbox.ts';
