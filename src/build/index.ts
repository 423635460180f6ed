export type { PlannedStep } from '../solve/index.ts';
export { type BuildEdge, type BuildOutcome, buildImage } from './build-image.ts';
export { type CallAnswer, type CallMethod, callDockerfile } from './call.ts';
export type { BuildDeps, TemplatePackages } from './deps.ts';
export { internalVertex } from './internal-step.ts';
export { type ExportedPart, exportStore, importStore } from './move-cache.ts';
export { openContext } from './open-context.ts';
export { planBuild } from './plan.ts';
export { projectBuilds } from './project-builds.ts';
export type { PlannedLayer } from './project-plan.ts';
export type {
  ImageReport,
  LayerCause,
  LayerPlaces,
  LayerReport,
  ProjectReport,
  ProjectWorld,
} from './project-types.ts';
export {
  type DockerfileLocation,
  MAX_DOCKERFILE,
  readDockerfile,
  readIgnoreText,
} from './read-dockerfile.ts';
export { type HistoryRecorder, recordHistory } from './record-history.ts';
export type {
  BuildRequest,
  CachePlace,
  CacheSign,
  CacheSource,
  CacheTarget,
  CacheTrust,
  NamedContext,
  OutputSpec,
  OutputType,
  RemoteRequest,
  StackImage,
} from './request.ts';
export {
  makeRootSnapshot,
  readRootSnapshot,
  snapshotFile,
  takeRootSnapshot,
  type WantedSnapshot,
} from './root-snapshots.ts';
export type { LimitsByName } from './step-limits.ts';
export { projectOf } from './step-texts.ts';
export { emptySource } from './tree-source.ts';
export { type Warmed, warmStore } from './warm.ts';
