import type { Span } from '../base/index.ts';
import type { LineRange, Word } from './ast.ts';

/** What all instructions have. */
export interface CommandBase {
  /** The keyword as written (`Copy`). */
  readonly name: string;
  /** The instruction as one line, surrounding blanks trimmed. */
  readonly code: string;
  readonly span: Span;
  readonly keyword: Span;
  /** Here-documents included. */
  readonly lines: LineRange;
  /** Comment lines directly above. */
  readonly comments: readonly string[];
  /** Flags as written (`--from=build`), to point at one. */
  readonly flags: readonly Word[];
}

/** One definition of an ARG instruction. */
export interface ArgDefinition {
  readonly key: string;
  /** Unexpanded default; absent when the name stands alone. */
  readonly value?: string;
  /** Text of a comment `# <name> <text>` above the instruction, or empty. */
  readonly docComment: string;
  readonly span: Span;
}

/** `ARG name[=default] ...`; all texts unexpanded. */
export interface ArgCommand extends CommandBase {
  readonly kind: 'arg';
  readonly args: readonly ArgDefinition[];
}

/** One pair of ENV or LABEL, unexpanded. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Written `KEY value` instead of `KEY=value` (BuildKit `NoDelim`). */
  readonly legacy: boolean;
  readonly span: Span;
}

/** `ENV name=value ...`; all texts unexpanded. */
export interface EnvCommand extends CommandBase {
  readonly kind: 'env';
  readonly pairs: readonly KeyValue[];
}

/** `LABEL name=value ...`; all texts unexpanded. */
export interface LabelCommand extends CommandBase {
  readonly kind: 'label';
  readonly pairs: readonly KeyValue[];
}

/** A here-document handed to a shell or written to a file. */
export interface InlineFile {
  readonly name: string;
  /** The body as written; `chomp` tells that leading tabs are to be removed (`chompTabs`). */
  readonly data: string;
  readonly chomp: boolean;
}

/** Command line of RUN, CMD, ENTRYPOINT: exec form (JSON) or one text for the shell. */
export interface CommandLine {
  /** JSON elements, or one element with the text; empty when nothing is written. */
  readonly args: readonly string[];
  /** True for the shell form: the current SHELL goes in front. */
  readonly prependShell: boolean;
  readonly files: readonly InlineFile[];
}

/** `RUN [flags] command`. */
export interface RunCommand extends CommandBase {
  readonly kind: 'run';
  readonly line: CommandLine;
  /** Values of `--mount`, unexpanded; see `parseMount`. `from` was checked to hold no variable. */
  readonly mounts: readonly Word[];
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly devices: readonly Device[];
  /** Names of the flags given, without dashes, in order of first use. */
  readonly flagsUsed: readonly string[];
}

/** A CDI device asked for by `RUN --device`. */
export interface Device {
  readonly name: string;
  readonly required: boolean;
}

/** Content of a here-document that COPY or ADD writes to a file. */
export interface SourceContent {
  /** File name: the terminator word. */
  readonly path: string;
  /** Leading tabs already removed where `<<-` asked for it; variables not yet expanded. */
  readonly data: string;
  readonly expand: boolean;
  readonly span: Span;
}

/** Fields common to COPY and ADD. Empty texts mean "not given". */
export interface CopyFields {
  readonly sources: readonly Word[];
  readonly contents: readonly SourceContent[];
  readonly dest: Word;
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
}

/** `COPY [flags] source ... destination`; all texts unexpanded. */
export interface CopyCommand extends CommandBase, CopyFields {
  readonly kind: 'copy';
  readonly from: string;
  readonly parents: boolean;
}

/** `ADD [flags] source ... destination`; all texts unexpanded. */
export interface AddCommand extends CommandBase, CopyFields {
  readonly kind: 'add';
  readonly checksum: string;
  readonly keepGitDir?: boolean;
  readonly unpack?: boolean;
}

/** `WORKDIR path`; all texts unexpanded. */
export interface WorkdirCommand extends CommandBase {
  readonly kind: 'workdir';
  readonly path: Word;
}

/** `USER name[:group]`; all texts unexpanded. */
export interface UserCommand extends CommandBase {
  readonly kind: 'user';
  readonly user: Word;
}

/** `CMD command`. */
export interface CmdCommand extends CommandBase {
  readonly kind: 'cmd';
  readonly line: CommandLine;
}

/** `ENTRYPOINT command`. */
export interface EntrypointCommand extends CommandBase {
  readonly kind: 'entrypoint';
  /** `args` is empty for `ENTRYPOINT []`, which BuildKit stores as null. */
  readonly line: CommandLine;
}

/** `EXPOSE port[/protocol] ...`; all texts unexpanded. */
export interface ExposeCommand extends CommandBase {
  readonly kind: 'expose';
  /** Sorted by bytes, unexpanded. */
  readonly ports: readonly Word[];
}

/** `VOLUME path ...`; all texts unexpanded. */
export interface VolumeCommand extends CommandBase {
  readonly kind: 'volume';
  readonly volumes: readonly Word[];
}

/** `SHELL ["executable", "parameter"]`. */
export interface ShellCommand extends CommandBase {
  readonly kind: 'shell';
  readonly shell: readonly string[];
}

/** `STOPSIGNAL signal`; all texts unexpanded. */
export interface StopSignalCommand extends CommandBase {
  readonly kind: 'stopsignal';
  readonly signal: Word;
}

/** Health check as stored in image configurations; durations in nanoseconds, 0 = the default. */
export interface Health {
  readonly test: readonly string[];
  readonly interval: bigint;
  readonly timeout: bigint;
  readonly startPeriod: bigint;
  readonly startInterval: bigint;
  readonly retries: number;
}

/** `HEALTHCHECK NONE` or `HEALTHCHECK [flags] CMD command`. */
export interface HealthcheckCommand extends CommandBase {
  readonly kind: 'healthcheck';
  readonly health: Health;
}

/** `MAINTAINER name`. */
export interface MaintainerCommand extends CommandBase {
  readonly kind: 'maintainer';
  readonly maintainer: string;
}

/** `ONBUILD instruction`. */
export interface OnbuildCommand extends CommandBase {
  readonly kind: 'onbuild';
  /** The trigger as text, here-documents attached again; parsed with `parseTrigger` when it fires. */
  readonly expression: string;
}

/** An instruction inside a stage (or, for ARG, also above the first). */
export type Command =
  | ArgCommand
  | EnvCommand
  | LabelCommand
  | RunCommand
  | CopyCommand
  | AddCommand
  | WorkdirCommand
  | UserCommand
  | CmdCommand
  | EntrypointCommand
  | ExposeCommand
  | VolumeCommand
  | ShellCommand
  | StopSignalCommand
  | HealthcheckCommand
  | MaintainerCommand
  | OnbuildCommand;

/** A FROM instruction and what follows it. */
export interface Stage extends CommandBase {
  readonly kind: 'from';
  /** Lower-cased; empty when unnamed. */
  readonly stageName: string;
  /** The name as written, when there is one. */
  readonly as?: Word;
  /** Image, stage or `scratch`, unexpanded. */
  readonly base: Word;
  /** Value of `--platform`, unexpanded; empty when not given. */
  readonly platform: string;
  readonly docComment: string;
  readonly commands: readonly Command[];
}

/** The typed instructions of a file. */
export interface Instructions {
  readonly stages: readonly Stage[];
  /** ARG instructions above the first FROM. */
  readonly metaArgs: readonly ArgCommand[];
}
