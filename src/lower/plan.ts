import {
  type Command,
  expandWord,
  type Instructions,
  quoteGo,
  type Stage,
  withSuggestion,
} from '../dockerfile/index.ts';
import { type OpPlatform, parsePlatform } from '../llb/index.ts';
import { checkFromArgs, checkPlatformFlag } from './checks.ts';
import { EnvList } from './env-list.ts';
import { emptyImage } from './image-config.ts';
import { StageOutline } from './outline.ts';
import { mountSources } from './run-mounts.ts';
import { freshState, type Lowering, type PlannedCommand, type StageState } from './stage-state.ts';
import { type At, locate, stop } from './stop.ts';

/** Name that stands for an empty file system. */
export const SCRATCH = 'scratch';

/** All stages of a build, in order; images that only instructions name are added behind them. */
export class StageList {
  readonly states: StageState[] = [];
  readonly #byName = new Map<string, StageState>();
  #empty: StageState | undefined;

  add(state: StageState): void {
    this.states.push(state);
    state.base = this.#byName.get(state.baseName);
    // What the base says in its own FROM counts for this stage too, wherever its instructions go.
    if (state.base !== undefined)
      for (const name of state.base.outline.used) state.outline.used.add(name);
    if (state.name !== '') this.#byName.set(state.name, state);
  }

  /** Names are compared without case. */
  find(name: string): StageState | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  at(index: number): StageState {
    return this.states[index] ?? stop(`invalid stage index ${index}`, 'DF022');
  }

  /** What a mount without a source reads from: one for all of them. */
  empty(): StageState {
    this.#empty ??= implicit(SCRATCH, undefined);
    return this.#empty;
  }

  names(): readonly string[] {
    return [...this.#byName.keys()];
  }
}

/** Settings of `stageStates`. */
export interface StageOptions {
  readonly lowering: Pick<
    Lowering,
    'request' | 'escapeToken' | 'linter' | 'globalArgs' | 'parameters' | 'budget'
  >;
  /** Names that ARG instructions above the first FROM declare. */
  readonly declared: readonly string[];
}

/** The stages of a file with their bases named, and what FROM says checked. */
export function stageStates(instructions: Instructions, options: StageOptions): StageList {
  const list = new StageList();
  instructions.stages.forEach((stage, i) => {
    const baseName = expandFrom(stage, stage.base.value, options);
    if (baseName.value === '')
      locate(stage, () => stop(`base name (${stage.base.value}) should not be blank`, 'DF032'));
    const platform = stagePlatform(stage, options);
    const name = stage.stageName;
    const { contexts = {} } = options.lowering.request;
    const replacement = name === '' ? undefined : contextOf(contexts, name);
    const state = newState({
      stage,
      at: stage,
      code: stage.code,
      name,
      shownName: name === '' ? `stage-${i}` : name,
      baseName: baseName.value,
      replacement,
      platform: platform.value,
      ignoreCache: isUncached(options, name),
      outline: new StageOutline(options.lowering.parameters, [
        ...baseName.matched,
        ...platform.matched,
      ]),
    });
    list.add(state);
    state.stepTotal = countSteps(state);
  });
  return list;
}

/** The value of a named build context; names are compared as they are. */
export function contextOf(
  contexts: Readonly<Record<string, string>>,
  name: string,
): string | undefined {
  if (name === SCRATCH || name === 'context') return undefined;
  return Object.hasOwn(contexts, name) ? contexts[name] : undefined;
}

function countSteps(state: StageState): number {
  const base = state.baseName !== SCRATCH && state.base === undefined ? 1 : 0;
  const steps = (state.stage?.commands ?? []).filter((c) =>
    ['add', 'copy', 'run', 'workdir'].includes(c.kind),
  );
  return base + steps.length;
}

function isUncached({ lowering }: StageOptions, name: string): boolean {
  const { noCache } = lowering.request;
  if (noCache === undefined || noCache === 'all') return noCache === 'all';
  return noCache.some((n) => n.toLowerCase() === name.toLowerCase());
}

type NewState = Pick<StageState, 'stage' | 'at' | 'code' | 'name' | 'shownName' | 'baseName'> &
  Partial<Pick<StageState, 'replacement' | 'platform' | 'ignoreCache' | 'outline'>>;

function newState(given: NewState): StageState {
  return {
    replacement: undefined,
    platform: undefined,
    ignoreCache: false,
    outline: new StageOutline(new Map()),
    paths: new Set(),
    base: undefined,
    deps: new Map(),
    commands: [],
    state: freshState(undefined, new EnvList()),
    image: emptyImage({ OS: 'linux', Architecture: 'amd64' }),
    baseImage: undefined,
    resolved: false,
    triggered: false,
    dispatched: false,
    stepIndex: 0,
    stepTotal: 0,
    buildArgs: new Map(),
    workdirSet: false,
    last: {},
    ...given,
  };
}

function expandFrom(
  stage: Stage,
  text: string,
  { lowering, declared }: StageOptions,
  prefix = '',
): {
  readonly value: string;
  readonly matched: ReadonlySet<string>;
  readonly unmatched: ReadonlySet<string>;
} {
  const { escapeToken, linter, globalArgs, budget } = lowering;
  const found = expandWord(text, globalArgs, { escapeToken });
  if (!found.ok) return locate(stage, () => stop(`${prefix}${found.error}`, 'DF021'));
  if (found.value.unmatched.size > 0) {
    const about = { at: stage, known: new Set([...declared, ...globalArgs.keys()]), budget };
    checkFromArgs(linter.withComments(stage.comments), found.value.unmatched, about);
  }
  return found.value;
}

function stagePlatform(
  stage: Stage,
  options: StageOptions,
): { readonly value: OpPlatform | undefined; readonly matched: ReadonlySet<string> } {
  if (stage.platform === '') return { value: undefined, matched: new Set() };
  const { linter, globalArgs, request } = options.lowering;
  const found = expandFrom(
    stage,
    stage.platform,
    options,
    'failed to process arguments for platform : ',
  );
  const host = request.buildPlatform;
  const about = { ...found, args: globalArgs, host };
  checkPlatformFlag(linter.withComments(stage.comments), stage, about);
  const value = locate(stage, () => {
    const suggested = (message: string): string =>
      [...found.unmatched].reduce(
        (text, name) => withSuggestion(text, name, globalArgs.keys(), { caseSensitive: true }),
        message,
      );
    if (found.value === '')
      return stop(suggested(`empty platform value from expression ${stage.platform}`), 'DF033');
    const parsed = parsePlatform(found.value, host);
    if (parsed.ok) return parsed.value;
    const message = suggested(`failed to parse platform ${stage.platform}: ${parsed.error}`);
    return locate(stage, () => stop(message, 'DF033'));
  });
  return { value, matched: found.matched };
}

/** Names the stages each instruction of a stage reads from, adding images that are no stage. */
export function planCommands(
  list: StageList,
  state: StageState,
  commands: readonly Command[],
  trigger?: At,
): PlannedCommand[] {
  return commands.map((command) => {
    const sources = sourcesOf(list, command, trigger ?? command);
    for (const source of sources) {
      state.deps.set(source, command);
      if (source.stage === undefined && !list.states.includes(source)) list.add(source);
    }
    return { command, sources, onBuild: trigger !== undefined, at: trigger ?? command };
  });
}

function sourcesOf(list: StageList, command: Command, at: At): readonly StageState[] {
  if (command.kind === 'run') {
    return mountSources(command).map((from) => {
      const name = from === '' ? SCRATCH : from;
      return list.find(name) ?? (name === SCRATCH ? list.empty() : implicit(name, undefined));
    });
  }
  if (command.kind !== 'copy' || command.from === '') return [];
  const { from } = command;
  if (from.charCodeAt(0) < 0x3a && /^[+-]?\d+$/.test(from)) return [list.at(Number(from))];
  const known = list.find(from);
  if (known !== undefined) return [known];
  if (from.includes('$'))
    stop(
      'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
      'DF022',
    );
  return [implicit(from, at)];
}

function implicit(baseName: string, at: At | undefined): StageState {
  return newState({ stage: undefined, at, code: '', name: '', shownName: '', baseName });
}

/** The stage to build: the named one, or the last of the file. */
export function targetStage(list: StageList, target: string, count: number): StageState {
  if (target === '') return list.at(count - 1);
  const found = list.find(target);
  if (found !== undefined) return found;
  const message = `target stage ${quoteGo(target)} could not be found`;
  return stop(withSuggestion(message, target, list.names(), { caseSensitive: true }), 'DF022');
}

/** The stages a stage needs, itself among them. */
export function reachableFrom(target: StageState): ReadonlySet<StageState> {
  const found = new Set<StageState>();
  const pending = [target];
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    if (found.has(state)) continue;
    found.add(state);
    if (state.base !== undefined) pending.push(state.base);
    pending.push(...state.deps.keys());
  }
  return found;
}

/** Fails when a stage reads from itself, directly or through others. */
export function checkCircles(states: readonly StageState[]): void {
  const visited = new Set<StageState>();
  const path = new Set<StageState>();
  const visit = (state: StageState, way: readonly Command[]): readonly Command[] | undefined => {
    if (visited.has(state)) return undefined;
    visited.add(state);
    path.add(state);
    for (const [dep, command] of state.deps) {
      const next = [...way, command];
      if (path.has(dep)) return next;
      const circle = visit(dep, next);
      if (circle !== undefined) return circle;
    }
    path.delete(state);
    return undefined;
  };
  for (const state of states) {
    const circle = visit(state, []);
    if (circle === undefined) continue;
    const message = `circular dependency detected on stage: ${state.shownName}`;
    const fail = (): never => stop(message, 'DF022');
    circle.reduce<() => never>((inner, command) => () => locate(command, inner), fail)();
  }
}
