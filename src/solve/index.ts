export { stepIdentity } from './explain.ts';
export { type ExportedLink, type ExportedRecord, exportRecords } from './export-records.ts';
export { createSolver } from './solver.ts';
export type { PlannedStep, Solution, SolveOptions, Solver, SolverDeps } from './types.ts';
