export { type Advice, adviceOf } from './advice.ts';
export {
  type BuildSteps,
  type ReportData,
  type ReportInput,
  type ReportLayer,
  reportData,
  type StoreUse,
} from './data.ts';
export { reportMarkdown, reportPrometheus } from './other-forms.ts';
export type { GraphPackage } from './package-graph.ts';
export { packagesPage } from './package-page.ts';
export { reportPage } from './page.ts';
