export { filesOfSources, sizeOfSources } from './context-sizes.ts';
export {
  isContextCopy,
  localSources as localSourcesOf,
  type Model,
  modelOf,
} from './dockerfile-model.ts';
export type {
  AdviceRule,
  AdviceSeverity,
  Blame,
  ContextFacts,
  ContextFile,
  Finding,
} from './finding.ts';
export {
  type ChangeUnit,
  type Grouping,
  type GroupingCosts,
  type GroupingProblem,
  type Groupings,
  groupingCost,
  groupUnits,
  MAX_EXACT,
  shareGroups,
} from './group-units.ts';
export { ADVICE_RULES, type LintFacts, lintCaching } from './lint.ts';
export {
  type AppliedRewrite,
  modelOfText,
  type RewriteFacts,
  type Rewritten,
  rewrite,
} from './optimize.ts';
export { withoutIgnored } from './rewrites/ignore-file.ts';
export type { IgnoreFile } from './rewrites/rewrite.ts';
export { type CopiedPaths, type StageSplit, stageSplit } from './rewrites/stage-split.ts';
export { type SarifResult, sarifLog } from './sarif.ts';
