export { createSandbox, removeAbandonedRuns, type SandboxOptions } from './runc-sandbox.ts';
