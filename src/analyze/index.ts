export {
  type Commit,
  type CommitPrediction,
  predictCommits,
  type ReplayOptions,
  type ReplayStep,
} from './commit-replay.ts';
export { compareImages, type ImageComparison, type ImageContent } from './image-proof.ts';
export {
  adviseLayers,
  type BuiltFacts,
  changesOf,
  type LayerHistory,
  type MeasuredUnit,
  type PoolAdvice,
} from './layer-advice.ts';
export {
  changingVariableNames,
  type MeasuredCost,
  type MeasureWorld,
  measureFinding,
} from './measure.ts';
export {
  type ProofBuild,
  type Proven,
  proveRewrites,
  type RefusedRewrite,
} from './prove-rewrites.ts';
export { forecast, type Prices, type StepCosts, type VariantForecast } from './savings.ts';
export {
  appended,
  ignoredScenario,
  type Scenario,
  type ScenarioName,
  scenariosOf,
  withOtherBase,
} from './scenarios.ts';
export { type ProjectHistory, projectHistory } from './step-history.ts';
export { listTree, readTree, type TreeListing } from './tree-listing.ts';
