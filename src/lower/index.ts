export {
  decodeImage,
  type ExecConfig,
  emptyImage,
  encodeImage,
  type HistoryEntry,
  type ImageConfig,
  imageJson,
} from './image-config.ts';
export { createLowering, lower } from './lower.ts';
export {
  contextDefinition,
  DOWNLOADED,
  type RemoteContext,
  remoteContext,
  sourceDefinition,
} from './main-context.ts';
export { imageQuestionKey } from './questions.ts';
export { type GitReference, isHttp, parseGit } from './remote-source.ts';
export {
  type ImageAnswer,
  type ImageQuestion,
  type LowerAnswers,
  type LoweredStage,
  type LowerOutcome,
  type LowerRequest,
  type MainContext,
  NO_ANSWERS,
  type TemplateAnswer,
  type TimeQuestion,
} from './request.ts';
