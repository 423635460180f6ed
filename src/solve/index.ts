export { type ExportedLink, type ExportedRecord, exportRecords } from './export-records.ts';
export { createSolver } from './solver.ts';
export { type CacheSources, type Candidate, LOCAL_SOURCE } from './sources.ts';
export { type StepTexts, stepIdentity } from './step-identity.ts';
export type { PlannedStep, Solution, SolveOptions, Solver, SolverDeps } from './types.ts';
