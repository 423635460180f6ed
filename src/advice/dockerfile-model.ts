import { posix } from 'node:path';
import type { SourceFile, Span } from '../base/index.ts';
import {
  type AddCommand,
  type Command,
  type CopyCommand,
  type Instructions,
  type Mount,
  type ParsedDockerfile,
  parseMount,
  type RunCommand,
  type Stage,
} from '../dockerfile/index.ts';
import { type Install, installOf } from './package-managers.ts';
import { type ShellCommand, shellCommands } from './shell-words.ts';

/** One program that a RUN calls. */
export interface Call extends ShellCommand {
  /** Where it stands in the Dockerfile. */
  readonly span: Span;
  readonly install?: Install;
}

/** An instruction with what the rules ask of it. */
export interface Item {
  readonly command: Command;
  /** Programs that a RUN calls; empty for other instructions. */
  readonly calls: readonly Call[];
  /** Parsed mounts of a RUN. */
  readonly mounts: readonly Mount[];
}

/** A stage with its instructions. */
export interface StageModel {
  readonly stage: Stage;
  readonly items: readonly Item[];
  /** What it makes is part of the image: it is the last stage, or that one stands on it. */
  readonly inImage: boolean;
  /** Working directory that it begins in; that of an image is not known (`UNKNOWN_DIR`). */
  readonly workdir: string;
}

/** Stands for a directory that only an image's configuration tells: no path of a Dockerfile is below it. */
const UNKNOWN_DIR = '/?';

/** A Dockerfile as the rules see it. */
export interface Model {
  readonly file: SourceFile;
  readonly parsed: ParsedDockerfile;
  readonly instructions: Instructions;
  readonly stages: readonly StageModel[];
}

/** Makes the model of a parsed file; `target` names the stage that is built, the last one by default. */
export function modelOf(
  parsed: ParsedDockerfile,
  instructions: Instructions,
  target?: string,
): Model {
  const { stages } = instructions;
  const { file } = parsed;
  const wanted = stages.findLastIndex(({ stageName }) => stageName === target?.toLowerCase());
  const inImage = new Set<Stage>();
  for (let at = stages[wanted === -1 ? stages.length - 1 : wanted]; at !== undefined; ) {
    inImage.add(at);
    const base = at.base.value.toLowerCase();
    const position = stages.indexOf(at);
    at = stages.slice(0, position).findLast(({ stageName }) => stageName === base);
  }
  const ends: string[] = [];
  const models = stages.map((stage, i): StageModel => {
    const name = stage.base.value.toLowerCase();
    const below = stages.slice(0, i).findLastIndex(({ stageName }) => stageName === name);
    const first = name === 'scratch' ? '/' : UNKNOWN_DIR;
    const workdir = below === -1 ? first : (ends[below] ?? first);
    const items = stage.commands.map((command) => itemOf(command, file));
    ends.push(
      items.reduce(
        (at, { command }) =>
          command.kind === 'workdir' ? posix.resolve(at, command.path.value) : at,
        workdir,
      ),
    );
    return { stage, items, workdir, inImage: inImage.has(stage) };
  });
  return { ...{ file, parsed, instructions }, stages: models };
}

function itemOf(command: Command, file: SourceFile): Item {
  if (command.kind !== 'run') return { command, calls: [], mounts: [] };
  return { command, calls: callsOf(command, file), mounts: mountsOf(command) };
}

function mountsOf(command: RunCommand): readonly Mount[] {
  return command.mounts.flatMap(({ value }) => {
    const mount = parseMount(value, (word) => ({ ok: true, value: word }));
    return mount.ok ? [mount.value] : [];
  });
}

function callsOf(command: RunCommand, file: SourceFile): readonly Call[] {
  const { line } = command;
  const here = line.files.map(({ data }) => data);
  if (!line.prependShell) {
    const [program = '', flag = '', text = ''] = line.args;
    const shell = /(?:^|\/)(?:ba|da|a|z|k)?sh$/.test(program) && /^-\w*c$/.test(flag);
    if (shell) return located(shellCommands(text), command, file);
    const call = { words: line.args, offset: 0, length: 0, span: command.span };
    return [withInstall(call)];
  }
  const isScript = here.length > 0 && /^<<-?\S+$/.test((line.args[0] ?? '').trim());
  const texts = isScript ? here : [line.args[0] ?? ''];
  return texts.flatMap((text) => located(shellCommands(text), command, file));
}

/** Finds the words of each call in the source, in their order; where they are not found it is the whole instruction. */
function located(
  calls: readonly ShellCommand[],
  command: RunCommand,
  file: SourceFile,
): readonly Call[] {
  const lines = file.text.split('\n');
  const bodyEnd = lines.slice(0, command.lines[1]).join('\n').length;
  let at = command.keyword.offset + command.keyword.length;
  return calls.map((call) => {
    const [first = '', second] = call.words;
    const words = [first, ...(second === undefined ? [] : [second])].map(escapeRegExp);
    const pattern = new RegExp(words.join('["\']?\\s+(?:\\\\\\s+)*["\']?'), 'g');
    pattern.lastIndex = at;
    const found = pattern.exec(file.text);
    if (found === null || found.index >= bodyEnd)
      return withInstall({ ...call, span: command.span });
    at = found.index + 1;
    return withInstall({ ...call, span: { offset: found.index, length: found[0].length } });
  });
}

function withInstall(call: Omit<Call, 'install'>): Call {
  const install = installOf(call.words);
  return install === undefined ? call : { ...call, install };
}

const escapeRegExp = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A COPY or ADD of files of the build context. */
export function isContextCopy(command: Command): command is CopyCommand | AddCommand {
  if (command.kind === 'copy') return command.from === '' && command.sources.length > 0;
  return command.kind === 'add' && localSources(command).length > 0;
}

/** Sources of a COPY or ADD that are no addresses. */
export function localSources(command: CopyCommand | AddCommand): readonly string[] {
  return command.sources.map(({ value }) => value).filter((value) => !isRemote(value));
}

/** An address of a file or a repository. */
export const isRemote = (source: string): boolean => /^(?:https?|git|ssh):\/\/|^git@/.test(source);

/** Whether a copy takes the whole context. */
export const takesAll = (command: CopyCommand | AddCommand): boolean =>
  localSources(command).some((source) => /^(?:\.\/?|\/|\*|\.\/\*)$/.test(source));

/** Installs of a stage, each with its instruction. */
export function installsOf(
  items: readonly Item[],
): readonly { readonly item: Item; readonly call: Call; readonly install: Install }[] {
  return items.flatMap((item) =>
    item.calls.flatMap((call) => {
      const { install } = call;
      return install === undefined ? [] : [{ item, call, install }];
    }),
  );
}
