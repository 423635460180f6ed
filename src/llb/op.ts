import type { Digest } from '../base/index.ts';

/*
 * BuildKit's LLB operations (moby/buildkit solver/pb/ops.proto, v0.32). Field names are those of the protobuf messages'
 * Go JSON, so that one shape serves protobuf encoding, op JSON and cache keys. An absent field is the protobuf default.
 */

/** One input edge: output `index` of the op with this digest. */
export interface OpInput {
  readonly digest: Digest;
  readonly index: number;
}

/** `pb.Platform`. */
export interface OpPlatform {
  readonly Architecture: string;
  readonly OS: string;
  readonly Variant?: string;
  readonly OSVersion?: string;
  readonly OSFeatures?: readonly string[];
}

/** `pb.Op`. */
export interface Op {
  readonly inputs: readonly OpInput[];
  readonly body: OpBody;
  readonly platform?: OpPlatform;
  /** `pb.WorkerConstraints.filter`; an empty list still writes the (empty) message. */
  readonly constraints?: readonly string[];
}

/** The oneof of `pb.Op`; `terminal` is the last element of a definition, which has no op kind. */
export type OpBody =
  | { readonly kind: 'exec'; readonly exec: ExecOp }
  | { readonly kind: 'source'; readonly source: SourceOp }
  | { readonly kind: 'file'; readonly file: FileOp }
  | { readonly kind: 'merge'; readonly merge: MergeOp }
  | { readonly kind: 'diff'; readonly diff: DiffOp }
  | { readonly kind: 'terminal' };

/** `pb.SourceOp`: `docker-image://`, `local://`, `git://`, `https://`, `oci-layout://`, and Varve's own `varve-template://`. */
export interface SourceOp {
  readonly identifier: string;
  readonly attrs: Readonly<Record<string, string>>;
}

/** `pb.ExecOp`. */
export interface ExecOp {
  readonly meta: ExecMeta;
  readonly mounts: readonly Mount[];
  readonly network: NetMode;
  readonly security: SecurityMode;
  readonly secretenv: readonly SecretEnv[];
  readonly cdiDevices: readonly CdiDevice[];
}

/** `pb.Meta`. */
export interface ExecMeta {
  readonly args: readonly string[];
  /** `KEY=value` in order. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly proxy_env?: ProxyEnv;
  readonly extraHosts: readonly HostIp[];
  readonly hostname: string;
  readonly ulimit: readonly Ulimit[];
  readonly cgroupParent: string;
  readonly removeMountStubsRecursive: boolean;
  readonly validExitCodes: readonly number[];
}

export interface ProxyEnv {
  readonly http_proxy?: string;
  readonly https_proxy?: string;
  readonly ftp_proxy?: string;
  readonly no_proxy?: string;
  readonly all_proxy?: string;
}

export interface HostIp {
  readonly Host: string;
  readonly IP: string;
}

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

/** `pb.NetMode`: 0 the default, 1 host, 2 none. */
export type NetMode = 0 | 1 | 2;

/** `pb.SecurityMode`: 0 sandbox, 1 insecure. */
export type SecurityMode = 0 | 1;

export interface SecretEnv {
  readonly ID: string;
  readonly name: string;
  readonly optional: boolean;
}

export interface CdiDevice {
  readonly name: string;
  readonly optional: boolean;
}

/** `pb.MountType`: 0 bind, 1 secret, 2 ssh, 3 cache, 4 tmpfs. */
export type MountType = 0 | 1 | 2 | 3 | 4;

/** `pb.Mount`. `input` -1 means no input (scratch), `output` -1 means the result is dropped. */
export interface Mount {
  readonly input: number;
  readonly selector: string;
  readonly dest: string;
  readonly output: number;
  readonly readonly: boolean;
  readonly mountType: MountType;
  readonly TmpfsOpt?: { readonly size: number };
  readonly cacheOpt?: { readonly ID: string; readonly sharing: CacheSharing };
  readonly secretOpt?: SecretMount;
  readonly SSHOpt?: SecretMount;
  readonly resultID: string;
  /** `pb.MountContentCache`: 0 default, 1 on, 2 off. */
  readonly contentCache: 0 | 1 | 2;
}

/** `pb.CacheSharingOpt`: 0 shared, 1 private, 2 locked. */
export type CacheSharing = 0 | 1 | 2;

/** `pb.SecretOpt` and `pb.SSHOpt`, which have the same fields. */
export interface SecretMount {
  readonly ID: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly optional: boolean;
}

/** `pb.FileOp`. */
export interface FileOp {
  readonly actions: readonly FileAction[];
}

/**
 * `pb.FileAction`. `input` and `secondaryInput` index the op's inputs, then (from their count on) the results of earlier
 * actions; -1 means none (scratch). `output` is the op output the result becomes, or -1.
 */
export interface FileAction {
  readonly input: number;
  readonly secondaryInput: number;
  readonly output: number;
  readonly action:
    | { readonly kind: 'copy'; readonly copy: FileActionCopy }
    | { readonly kind: 'mkfile'; readonly mkfile: FileActionMkFile }
    | { readonly kind: 'mkdir'; readonly mkdir: FileActionMkDir }
    | { readonly kind: 'rm'; readonly rm: FileActionRm }
    | { readonly kind: 'symlink'; readonly symlink: FileActionSymlink };
}

/** `pb.FileActionCopy`; `mode` -1 keeps the source's mode, `timestamp` (ns) -1 means the time is not set. */
export interface FileActionCopy {
  readonly src: string;
  readonly dest: string;
  readonly owner?: ChownOpt;
  readonly mode: number;
  readonly followSymlink: boolean;
  readonly dirCopyContents: boolean;
  readonly attemptUnpackDockerCompatibility: boolean;
  readonly createDestPath: boolean;
  readonly allowWildcard: boolean;
  readonly allowEmptyWildcard: boolean;
  readonly timestamp: bigint;
  readonly include_patterns: readonly string[];
  readonly exclude_patterns: readonly string[];
  readonly alwaysReplaceExistingDestPaths: boolean;
  readonly modeStr: string;
  readonly required_paths: readonly string[];
}

export interface FileActionMkFile {
  readonly path: string;
  readonly mode: number;
  readonly data: Uint8Array;
  readonly owner?: ChownOpt;
  readonly timestamp: bigint;
}

export interface FileActionMkDir {
  readonly path: string;
  readonly mode: number;
  readonly makeParents: boolean;
  readonly owner?: ChownOpt;
  readonly timestamp: bigint;
}

export interface FileActionRm {
  readonly path: string;
  readonly allowNotFound: boolean;
  readonly allowWildcard: boolean;
}

export interface FileActionSymlink {
  readonly oldpath: string;
  readonly newpath: string;
  readonly owner?: ChownOpt;
  readonly timestamp: bigint;
}

/** `pb.ChownOpt`. */
export interface ChownOpt {
  readonly user?: UserOpt;
  readonly group?: UserOpt;
}

/** `pb.UserOpt`: a number, or a name looked up in /etc/passwd or /etc/group of input `input` of the op. */
export type UserOpt =
  | { readonly kind: 'byId'; readonly byId: number }
  | { readonly kind: 'byName'; readonly name: string; readonly input: number };

/** `pb.MergeOp`: indexes into the op's inputs, lowest layer first; -1 is scratch. */
export interface MergeOp {
  readonly inputs: readonly number[];
}

/** `pb.DiffOp`: indexes into the op's inputs; -1 is scratch. */
export interface DiffOp {
  readonly lower: number;
  readonly upper: number;
}
