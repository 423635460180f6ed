export {
  type BuildCauses,
  buildCauses,
  type CauseGroup,
  type ExplainedStep,
  findSteps,
} from './build-causes.ts';
