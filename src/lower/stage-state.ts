import type { Command, LineRange, LintConfig, Linter, Stage } from '../dockerfile/index.ts';
import type { NetMode, OpPlatform, ProxyEnv } from '../llb/index.ts';
import type { Budget } from './budget.ts';
import type { EnvList } from './env-list.ts';
import type { ImageConfig } from './image-config.ts';
import type { LazyOutput } from './lazy-graph.ts';
import type { DeclaredParameter, StageOutline } from './outline.ts';
import type { LowerRequest } from './request.ts';
import type { At } from './stop.ts';

export type { LineRange, LintConfig };

/** A file system with what the next step inherits (BuildKit `llb.State`); replaced, never changed. */
export interface BuildState {
  /** Undefined is scratch. */
  readonly output: LazyOutput | undefined;
  readonly env: EnvList;
  readonly dir: string;
  readonly user: string;
}

/** An instruction with the stages it reads from: one per `--from`, one per mount. */
export interface PlannedCommand {
  readonly command: Command;
  readonly sources: readonly StageState[];
  readonly onBuild: boolean;
  /** Where to report: for a trigger, the FROM that fired it. */
  readonly at: At;
}

/** A stage on its way from text to a file system and a configuration (BuildKit `dispatchState`). */
export interface StageState {
  /** Undefined for an image that only `--from` names. */
  readonly stage: Stage | undefined;
  /** Where the stage, or the instruction that names the image, stands. */
  readonly at: At | undefined;
  /** The text of FROM, for the step's description. */
  readonly code: string;
  /** Lower-cased name given by AS; empty when there is none. */
  readonly name: string;
  /** Name shown in progress. */
  shownName: string;
  baseName: string;
  base: StageState | undefined;
  /** The value of the named context that stands in for the whole stage. */
  readonly replacement: string | undefined;
  readonly deps: Map<StageState, Command>;
  commands: PlannedCommand[];
  platform: OpPlatform | undefined;
  state: BuildState;
  image: ImageConfig;
  baseImage: ImageConfig | undefined;
  resolved: boolean;
  triggered: boolean;
  dispatched: boolean;
  stepIndex: number;
  stepTotal: number;
  readonly ignoreCache: boolean;
  /** Declared arguments in the order in which they were first declared; the newest value. */
  readonly buildArgs: Map<string, string | undefined>;
  workdirSet: boolean;
  outline: StageOutline;
  /** Paths of a named local context behind the stage that are read; `/` is all of it. */
  paths: Set<string>;
  /** Where CMD, ENTRYPOINT and HEALTHCHECK were last given in this stage. */
  readonly last: { cmd?: At; entrypoint?: At; healthcheck?: At };
}

/** What all instructions of a build share. */
export interface Lowering {
  readonly request: LowerRequest;
  readonly escapeToken: '\\' | '`';
  readonly linter: Linter;
  readonly budget: Budget;
  readonly globalArgs: EnvList;
  /** Declarations of the arguments above the first FROM. */
  readonly parameters: ReadonlyMap<string, DeclaredParameter>;
  readonly targetPlatform: OpPlatform;
  /** Host name of steps; empty is the default. */
  readonly hostname: string;
  readonly proxy: ProxyEnv | undefined;
  /** Nanoseconds of created directories; -1 leaves them to the clock. */
  readonly timestamp: bigint;
  /** Time of history entries. */
  readonly created: string | undefined;
  readonly networkMode: NetMode;
  /** The main build context. */
  readonly context: LazyOutput;
  /** Paths of the main context that instructions read; `/` is all of it. */
  readonly contextPaths: Set<string>;
  /** Prefix of cache mount ids. */
  readonly cacheNamespace: string;
  /** Tells whether the ignore file excludes a path of the context. */
  readonly isIgnored: ((path: string) => boolean) | undefined;
}

/** A fresh state over a file system. */
export function freshState(output: LazyOutput | undefined, env: EnvList): BuildState {
  return { output, env, dir: '/', user: '' };
}
