export {
  changingVariableNames,
  type MeasuredCost,
  type MeasureWorld,
  measureFinding,
} from './measure.ts';
export { type ProjectHistory, projectHistory } from './step-history.ts';
