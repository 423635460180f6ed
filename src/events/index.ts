export type { Change, ChangeKind, RootCause } from './cause.ts';
export type {
  BuildFinished,
  BuildStarted,
  Decision,
  DecisionMade,
  Event,
  EventSink,
  Millis,
  SourceAnswer,
  VertexCompleted,
  VertexDeclared,
  VertexLog,
  VertexStarted,
  VertexStatus,
  VertexWarning,
} from './event.ts';
export { joinStepName, type StepName, stepNameParts } from './step-name.ts';
