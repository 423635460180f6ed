export { createSandbox, type SandboxOptions } from './runc-sandbox.ts';
