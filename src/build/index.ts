export type { DockerfileLocation } from './read-dockerfile.ts';
export { type HistoryRecorder, recordHistory } from './record-history.ts';
export type { BuildRequest, NamedContext, OutputSpec, OutputType } from './request.ts';
