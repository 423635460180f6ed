import type { Failure, SourceFile } from '../base/index.ts';
import type { DockerfileFailure, LintWarning, Outline } from '../dockerfile/index.ts';
import type { Definition, HostIp, NetMode, OpPlatform, Ulimit } from '../llb/index.ts';
import type { ImageConfig } from './image-config.ts';

/** What a build asks of the front end. Everything that changes an op or the image is here. */
export interface LowerRequest {
  readonly file: SourceFile;
  /** Stage to build; the last one when absent. */
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** `--platform`; absent means the build platform, and then a base image's own platform is kept. */
  readonly platform?: OpPlatform;
  /** Where steps run (BUILDPLATFORM). */
  readonly buildPlatform: OpPlatform;
  /** Several platforms are built: names say which. */
  readonly multiPlatform?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  /** `all`, or names of stages whose steps must run again. */
  readonly noCache?: 'all' | readonly string[];
  readonly extraHosts?: readonly HostIp[];
  readonly ulimits?: readonly Ulimit[];
  /** Bytes of /dev/shm; 0 or absent is the default. */
  readonly shmSize?: number;
  readonly cgroupParent?: string;
  readonly networkMode?: NetMode;
  readonly hostname?: string;
  /** `pull` resolves images in the registry even when they are known. */
  readonly imageResolveMode?: 'default' | 'pull' | 'local';
  /** `--build-context name=value`, values as written. */
  readonly contexts?: Readonly<Record<string, string>>;
  readonly context: MainContext;
  /** Lowers every stage, reachable or not, so that all of them are linted (`--check`). */
  readonly allStages?: boolean;
}

/** The main build context. `session` and `name` only name it. */
export type MainContext =
  | { readonly kind: 'local'; readonly name: string; readonly session: string }
  /** A repository or an archive: the identifier of its source op and the attributes. */
  | {
      readonly kind: 'source';
      readonly identifier: string;
      readonly attrs: Readonly<Record<string, string>>;
      /** The source is a downloaded archive, and the context what is in it. */
      readonly archive?: boolean;
    };

/** An image that must be resolved before lowering can go on. */
export interface ImageQuestion {
  /** Normalised reference with tag or digest. */
  readonly ref: string;
  readonly platform: OpPlatform;
  /** Where it is: a registry, or an OCI layout named by a build context. */
  readonly store: 'registry' | 'oci-layout';
  /** `[internal] load metadata for …`. */
  readonly name: string;
}

/** A source op whose own time is wanted: of a commit, a download or the newest file in a downloaded archive. */
export interface TimeQuestion {
  readonly identifier: string;
  readonly attrs: Readonly<Record<string, string>>;
  /** `[internal] resolve …`. */
  readonly name: string;
}

/** What the caller found out about an image. */
export type ImageAnswer =
  | { readonly ok: true; readonly digest: string; readonly config: unknown }
  | { readonly ok: false; readonly failure: Failure };

/** Answers collected so far; keys are made by `imageQuestionKey` and context names. */
export interface LowerAnswers {
  readonly images: ReadonlyMap<string, ImageAnswer>;
  /** Text of the ignore file of a local context; undefined where it has none. */
  readonly ignoreFiles: ReadonlyMap<string, string | undefined>;
  /** Attributes of a `template:` context, which its front end computed. */
  readonly templates?: ReadonlyMap<string, TemplateAnswer>;
  /** Seconds since 1970 by the identifier of the source; undefined where it has no time. */
  readonly times?: ReadonlyMap<string, number | undefined>;
}

/** A base made from an OS template: what its source op is, and the configuration of the image it stands for. */
export interface TemplateAnswer {
  readonly identifier: string;
  readonly attrs: Readonly<Record<string, string>>;
  readonly config: unknown;
  /** It is made from nothing, whatever is cached. */
  readonly clean?: boolean;
}

/** A stage as shown by `--call=targets` and in reports. */
export interface LoweredStage {
  readonly name: string;
  readonly base: string;
  readonly reachable: boolean;
  readonly platform: OpPlatform | undefined;
}

/** What lowering came to. */
export type LowerOutcome =
  | {
      readonly kind: 'lowered';
      readonly definition: Definition;
      readonly image: ImageConfig;
      /** The configuration as the bytes BuildKit's frontend returns. */
      readonly imageText: string;
      /** Configuration of the target's base image, when it has one. */
      readonly baseImage: ImageConfig | undefined;
      readonly warnings: readonly LintWarning[];
      readonly stages: readonly LoweredStage[];
      /** Name of the target stage; empty when the file has one unnamed stage. */
      readonly target: string;
      readonly platform: OpPlatform;
      /** Seconds since 1970 that SOURCE_DATE_EPOCH gives. */
      readonly epoch: number | undefined;
      /** What the target takes (`--call=outline`). */
      readonly outline: Outline;
    }
  | {
      readonly kind: 'needs';
      readonly images: readonly ImageQuestion[];
      /** Names of local contexts whose ignore file is wanted. */
      readonly ignoreFiles: readonly string[];
      /** Values behind `template:` of contexts that must be locked. */
      readonly templates: readonly string[];
      readonly times: readonly TimeQuestion[];
    }
  | {
      readonly kind: 'failed';
      readonly failure: DockerfileFailure;
      readonly warnings: readonly LintWarning[];
    };

/** No answers yet. */
export const NO_ANSWERS: LowerAnswers = { images: new Map(), ignoreFiles: new Map() };
