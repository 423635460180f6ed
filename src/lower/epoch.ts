import { type Command, expandWord, type Stage } from '../dockerfile/index.ts';
import type { EnvList } from './env-list.ts';
import { contextOf, SCRATCH } from './plan.ts';
import { gitNode, httpNode, isHttp, parseGit } from './remote-source.ts';
import type { LowerAnswers, LowerRequest, TimeQuestion } from './request.ts';
import { sourceOf } from './source-node.ts';
import { locate, stop } from './stop.ts';

const NAME = 'SOURCE_DATE_EPOCH';

/** What SOURCE_DATE_EPOCH says: a time, none, or the time of a source that somebody must look at. */
export type EpochValue =
  | { readonly kind: 'unset' }
  | { readonly kind: 'known'; readonly seconds: number | undefined }
  | { readonly kind: 'ask'; readonly question: TimeQuestion };

/** What the value of SOURCE_DATE_EPOCH may refer to. */
export interface EpochWorld {
  readonly request: LowerRequest;
  readonly stages: readonly Stage[];
  readonly globalArgs: EnvList;
  readonly escapeToken: '\\' | '`';
}

/**
 * SOURCE_DATE_EPOCH, a build argument or a global ARG: seconds since 1970, `context`, a named context, or a stage that is
 * one remote ADD on scratch (BuildKit dockerfile2llb/epoch.go). Directories of this machine and images have no time.
 */
export function epochValue(world: EpochWorld): EpochValue {
  const { request, globalArgs } = world;
  const given = request.buildArgs?.[NAME];
  const text = given ?? globalArgs.get(NAME) ?? '';
  if (text === '') return given === undefined ? { kind: 'unset' } : NO_TIME;
  if (/^[+-]?\d+$/.test(text)) {
    const seconds = Number(text);
    if (Number.isSafeInteger(seconds)) return { kind: 'known', seconds };
  }
  if (text === 'context') {
    const { context } = request;
    if (context.kind === 'local') return NO_TIME;
    const { identifier, attrs } = context;
    return ask({ identifier, attrs }, '[internal] resolve main build context metadata');
  }
  const named = contextOf(request.contexts ?? {}, text);
  if (named !== undefined)
    return contextTime(named, `[internal] resolve SOURCE_DATE_EPOCH named context ${text}`);
  const stage = world.stages.find((s) => s.stageName === text.toLowerCase());
  if (stage === undefined) return stop(`invalid ${NAME}: ${text}`, 'DF029');
  return locate(stage, () => stageTime(stage, world));
}

const NO_TIME: EpochValue = { kind: 'known', seconds: undefined };

function ask(source: Pick<TimeQuestion, 'identifier' | 'attrs'>, name: string): EpochValue {
  return { kind: 'ask', question: { ...source, name } };
}

function contextTime(value: string, name: string): EpochValue {
  const git = parseGit(value);
  if (git !== undefined)
    return ask(sourceOf(gitNode(git, { keepGitDir: false, checksum: '', metadata: {} })), name);
  if (isHttp(value)) return ask(sourceOf(httpNode(value, { checksum: '', name: '' })), name);
  return NO_TIME;
}

function stageTime(stage: Stage, world: EpochWorld): EpochValue {
  const { escapeToken } = world;
  let env = world.globalArgs.without(NAME);
  const expand = (text: string): string => {
    const found = expandWord(text, env, { escapeToken });
    return found.ok ? found.value.value : stop(found.error, 'DF021');
  };
  const fail = (what: string): never => stop(`${NAME} stage ${what}`, 'DF029');
  if (expand(stage.base.value) !== SCRATCH) return fail('must use FROM scratch');
  let source: EpochValue | undefined;
  for (const command of stage.commands) {
    if (command.kind === 'arg') {
      for (const { key, value } of command.args) {
        const set = world.request.buildArgs?.[key] ?? (value === undefined ? value : expand(value));
        if (set !== undefined) env = env.with(key, set);
      }
    } else if (command.kind !== 'add')
      return fail(
        `does not meet source-only requirements: unsupported ${command.name} instruction`,
      );
    else if (source !== undefined) return fail('must contain exactly one remote ADD');
    else source = addTime(command, expand, stage.stageName);
  }
  return source ?? fail('must contain exactly one remote ADD');
}

function addTime(
  command: Extract<Command, { kind: 'add' }>,
  expand: (text: string) => string,
  stageName: string,
): EpochValue {
  const [source] = command.sources;
  if (command.contents.length > 0 || source === undefined || command.sources.length !== 1)
    return stop(`${NAME} stage must contain exactly one remote ADD source`, 'DF029');
  const address = expand(source.value);
  const checksum = expand(command.checksum);
  const name = `[internal] resolve ${NAME} source stage ${stageName}`;
  const git = parseGit(address);
  if (git !== undefined) {
    const keepGitDir = command.keepGitDir === true;
    return ask(sourceOf(gitNode(git, { keepGitDir, checksum, metadata: {} })), name);
  }
  if (isHttp(address)) return ask(sourceOf(httpNode(address, { checksum, name: '' })), name);
  return stop(`${NAME} stage source must be a single HTTP(S) or Git ADD`, 'DF029');
}

/** The value with the answer to its question, or as yet unset with the question. */
export function answeredEpoch(
  value: EpochValue,
  { times }: Pick<LowerAnswers, 'times'>,
): { readonly time: EpochValue; readonly question?: TimeQuestion } {
  if (value.kind !== 'ask') return { time: value };
  const { question } = value;
  if (times?.has(question.identifier) !== true) return { time: { kind: 'unset' }, question };
  return { time: { kind: 'known', seconds: times.get(question.identifier) } };
}

/** The request and the global arguments with the value that was found; no time takes the argument away. */
export function withEpoch(
  request: LowerRequest,
  globalArgs: EnvList,
  value: EpochValue,
): { readonly request: LowerRequest; readonly globalArgs: EnvList } {
  if (value.kind !== 'known') return { request, globalArgs };
  const { [NAME]: given, ...others } = request.buildArgs ?? {};
  const text = value.seconds === undefined ? undefined : { [NAME]: String(value.seconds) };
  const buildArgs = given === undefined ? others : { ...others, ...text };
  const global = globalArgs.get(NAME);
  return {
    request: { ...request, buildArgs },
    globalArgs:
      text === undefined || global === undefined
        ? globalArgs.without(NAME)
        : globalArgs.with(NAME, text[NAME]),
  };
}

/** A time as Go's RFC 3339 encoder writes whole seconds in UTC. */
export function epochText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, 'Z');
}
