export { actionOwner } from './action-owner.ts';
export { decodeOp } from './decode-op.ts';
export type { Definition, OpMetadata, Vertex } from './definition.ts';
export { DISK_STEP, type DiskInput, type DiskPart, type DiskStep } from './disk-step.ts';
export { encodeOp } from './encode-op.ts';
export {
  type GraphNode,
  graphNode,
  inputOf,
  marshalGraph,
  type NodeOutput,
  terminalOp,
} from './graph.ts';
export type {
  CacheSharing,
  CdiDevice,
  ChownOpt,
  DiffOp,
  ExecMeta,
  ExecOp,
  FileAction,
  FileActionCopy,
  FileActionMkDir,
  FileActionMkFile,
  FileActionRm,
  FileActionSymlink,
  FileOp,
  HostIp,
  MergeOp,
  Mount,
  MountType,
  NetMode,
  Op,
  OpBody,
  OpInput,
  OpPlatform,
  ProxyEnv,
  SecretEnv,
  SecretMount,
  SecurityMode,
  SourceOp,
  Ulimit,
  UserOpt,
} from './op.ts';
export {
  actionBodyJson,
  diffJson,
  execJson,
  fileActionJson,
  mergeJson,
  opJson,
  platformJson,
} from './op-json.ts';
export { formatPlatform, normalisePlatform, parsePlatform } from './platform.ts';
export { keptBytes, opWithoutCredentials } from './without-credentials.ts';
