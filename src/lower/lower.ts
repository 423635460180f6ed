import {
  type Instructions,
  Linter,
  lintLines,
  lintStages,
  type ParsedDockerfile,
  parseDockerfile,
  parseInstructions,
  parseTrigger,
} from '../dockerfile/index.ts';
import { marshalGraph, normalisePlatform } from '../llb/index.ts';
import { BaseResolver } from './bases.ts';
import { Budget } from './budget.ts';
import { globalArguments, platformArgs, proxyOf } from './build-args.ts';
import { checkDefaultBases } from './checks.ts';
import { dispatch, enterDirectory } from './dispatch.ts';
import type { EnvList } from './env-list.ts';
import { answeredEpoch, epochText, epochValue, withEpoch } from './epoch.ts';
import { finalImage } from './final-image.ts';
import { ignorePatterns } from './ignore-patterns.ts';
import { ignoredBy } from './ignored.ts';
import { cloneImage, DEFAULT_PATH, encodeImage, imageSize } from './image-config.ts';
import { encodeGraph } from './lazy-graph.ts';
import { mainContext } from './main-context.ts';
import { outlineOf } from './outline.ts';
import {
  checkCircles,
  planCommands,
  reachableFrom,
  type StageList,
  stageStates,
  targetStage,
} from './plan.ts';
import type { LowerAnswers, LowerOutcome, LowerRequest } from './request.ts';
import type { Lowering, StageState } from './stage-state.ts';
import { locate, Stop, stop } from './stop.ts';

/**
 * Lowers a Dockerfile to a graph of ops and an image configuration (BuildKit frontend/dockerfile/dockerfile2llb). Pure:
 * what must be looked up is returned as questions; ask again with the answers added, until it is lowered or failed.
 */
export function lower(request: LowerRequest, answers: LowerAnswers): LowerOutcome {
  return createLowering(request)(answers);
}

/** As `lower`, for callers that ask more than once: the file is parsed once. */
export function createLowering(request: LowerRequest): (answers: LowerAnswers) => LowerOutcome {
  const file = parse(request);
  if ('kind' in file) return () => file;
  return (answers) => {
    const linter = file.linter.fork();
    try {
      return new Build(request, answers, { ...file, linter }).run();
    } catch (e) {
      if (!(e instanceof Stop)) throw e;
      const failure = e.toFailure(request.file);
      return { kind: 'failed', failure, warnings: linter.warnings };
    }
  };
}

function parse(request: LowerRequest): Parsed | Extract<LowerOutcome, { kind: 'failed' }> {
  if (request.file.text === '') {
    const empty = new Stop('the Dockerfile cannot be empty', { code: 'DF002' });
    return { kind: 'failed', failure: empty.toFailure(request.file), warnings: [] };
  }
  const parsed = parseDockerfile(request.file);
  if (!parsed.ok) return { kind: 'failed', failure: parsed.error, warnings: [] };
  const linter = Linter.forFile(parsed.value, request.buildArgs?.['BUILDKIT_DOCKERFILE_CHECK']);
  if (!linter.ok) {
    const failure = new Stop(linter.error, { code: 'DF031' }).toFailure(request.file);
    return { kind: 'failed', failure, warnings: [] };
  }
  lintLines(parsed.value, linter.value);
  const instructions = parseInstructions(parsed.value, { linter: linter.value });
  if (!instructions.ok) {
    const { warnings } = linter.value;
    return { kind: 'failed', failure: instructions.error, warnings };
  }
  return { parsed: parsed.value, instructions: instructions.value, linter: linter.value };
}

interface Parsed {
  readonly parsed: ParsedDockerfile;
  readonly instructions: Instructions;
  readonly linter: Linter;
}

/** One lowering, from stages to the finished graph. */
class Build {
  readonly #lowering: Lowering;
  readonly #instructions: Instructions;
  readonly #declared: readonly string[];
  readonly #epoch: number | undefined;
  readonly #bases: BaseResolver;

  constructor(asked: LowerRequest, answers: LowerAnswers, file: Parsed) {
    const { instructions, linter } = file;
    if (instructions.stages.length === 0) stop('dockerfile contains no stages to build', 'DF006');
    lintStages(instructions, linter);
    this.#instructions = instructions;
    const { escapeToken } = file.parsed;
    const targetPlatform = normalisePlatform(asked.platform ?? asked.buildPlatform);
    const given = asked.buildArgs ?? {};
    const stage = asked.target ?? instructions.stages.at(-1)?.stageName ?? '';
    const platforms = { build: asked.buildPlatform, target: targetPlatform, stage };
    const start = platformArgs(platforms, given);
    lintBases(instructions, start, { linter, escapeToken });
    const options = { buildArgs: given, escapeToken };
    const global = globalArguments(start, instructions.metaArgs, options);
    this.#declared = global.keys;
    const { stages } = instructions;
    const epoch = epochValue({ request: asked, stages, globalArgs: global.args, escapeToken });
    const { time, question } = answeredEpoch(epoch, answers);
    this.#epoch = time.kind === 'known' ? time.seconds : undefined;
    const { request, globalArgs } = withEpoch(asked, global.args, time);
    const buildArgs = request.buildArgs ?? {};
    const contextPaths = new Set<string>();
    const excludes = ignorePatterns(answers.ignoreFiles.get('context'));
    this.#lowering = {
      ...{ request, escapeToken, linter, targetPlatform, contextPaths, budget: new Budget() },
      globalArgs,
      parameters: global.parameters,
      hostname: request.hostname ?? buildArgs['BUILDKIT_SANDBOX_HOSTNAME'] ?? '',
      proxy: proxyOf(buildArgs),
      timestamp: this.#epoch === undefined ? -1n : BigInt(this.#epoch) * 1_000_000_000n,
      created: this.#epoch === undefined ? undefined : epochText(this.#epoch),
      networkMode: request.networkMode ?? 0,
      context: mainContext(request, excludes, contextPaths),
      cacheNamespace: buildArgs['BUILDKIT_CACHE_MOUNT_NS'] ?? '',
      isIgnored: ignoredBy(excludes),
    };
    this.#bases = new BaseResolver(this.#lowering, answers);
    if (question !== undefined) this.#bases.questions.times.push(question);
    if (request.context.kind === 'local' && !answers.ignoreFiles.has('context'))
      this.#bases.questions.ignoreFiles.add('context');
  }

  run(): LowerOutcome {
    const { request, linter } = this.#lowering;
    const options = { lowering: this.#lowering, declared: this.#declared };
    const list = stageStates(this.#instructions, options);
    const target = targetStage(list, request.target ?? '', this.#instructions.stages.length);
    for (const state of [...list.states])
      if (state.replacement === undefined)
        state.commands = planCommands(list, state, state.stage?.commands ?? []);
    checkCircles(list.states);
    if (list.states.length === 1) target.shownName = '';
    const reachable = this.#resolveBases(list, target);
    const { images, ignoreFiles, templates, times } = this.#bases.questions;
    if (images.size + ignoreFiles.size + templates.size + times.length > 0)
      return {
        kind: 'needs',
        images: [...images.values()],
        ignoreFiles: [...ignoreFiles],
        templates: [...templates],
        times,
      };
    for (const state of list.states)
      if ((request.allStages === true || reachable.has(state)) && !state.dispatched)
        this.#dispatchStage(state);
    const refused = linter.error();
    if (refused !== undefined) stop(refused, 'DF030');
    return this.#finish(list, target, reachable);
  }

  /** Until no trigger adds a stage or an image: resolves what is needed. */
  #resolveBases(list: StageList, target: StageState): ReadonlySet<StageState> {
    const all = this.#lowering.request.allStages === true;
    for (;;) {
      const reachable = reachableFrom(target);
      const wanted = (state: StageState): boolean => all || reachable.has(state);
      for (const state of list.states) this.#bases.resolve(state, wanted(state));
      let more = false;
      for (const state of [...list.states])
        if (wanted(state) && fireTriggers(list, state)) more = true;
      if (!more) return reachable;
      checkCircles(list.states);
    }
  }

  #dispatchStage(state: StageState): void {
    if (state.base !== undefined) inherit(state, state.base, this.#lowering.budget);
    state.dispatched = true;
    state.platform ??= this.#lowering.targetPlatform;
    const { config } = state.image;
    if (!config.Env.has('PATH') && state.platform.OS !== 'windows')
      config.Env.set('PATH', DEFAULT_PATH);
    state.state = { ...state.state, env: state.state.env.withAll(config.Env.pairs()) };
    if (config.WorkingDir !== '') enterDirectory(state, config.WorkingDir);
    if (config.User !== '') state.state = { ...state.state, user: config.User };
    for (const planned of state.commands)
      locate(planned.at, () => dispatch(this.#lowering, state, planned));
  }

  #finish(list: StageList, target: StageState, reachable: ReadonlySet<StageState>): LowerOutcome {
    const { request, targetPlatform, linter } = this.#lowering;
    const image = finalImage(target, request, targetPlatform);
    // All of the result is wanted, whatever instructions read of it.
    target.paths.add('/');
    return {
      kind: 'lowered',
      definition: marshalGraph(encodeGraph(target.state.output)),
      image,
      imageText: encodeImage(image),
      baseImage: target.baseImage,
      warnings: linter.warnings,
      stages: list.states
        .filter((s) => s.stage !== undefined)
        .map((s) => ({
          name: s.name,
          base: s.baseName,
          reachable: reachable.has(s),
          platform: s.platform,
        })),
      target: target.shownName,
      platform: targetPlatform,
      epoch: this.#epoch,
      outline: outlineOf(target),
    };
  }
}

function lintBases(
  instructions: Instructions,
  start: EnvList,
  { linter, escapeToken }: { readonly linter: Linter; readonly escapeToken: '\\' | '`' },
): void {
  try {
    const options = { buildArgs: {}, escapeToken };
    const { args } = globalArguments(start, instructions.metaArgs, options);
    checkDefaultBases(linter, instructions.stages, args, escapeToken);
  } catch (e) {
    // An argument that cannot be expanded fails the build by itself, with the place it stands at.
    if (!(e instanceof Stop)) throw e;
  }
}

/** Puts the triggers of a stage's base in front of its instructions; true when these read from other stages. */
function fireTriggers(list: StageList, state: StageState): boolean {
  if (state.triggered || state.stage === undefined || state.dispatched) return false;
  const { base, stage } = state;
  state.triggered = true;
  const triggers =
    base === undefined
      ? state.image.config.OnBuild
      : base.commands.flatMap(({ command, onBuild }) =>
          command.kind === 'onbuild' && !onBuild ? [command.expression] : [],
        );
  if (base === undefined) state.image.config.OnBuild = [];
  if (triggers.length === 0) return false;
  const commands = triggers.map((text) => {
    const command = parseTrigger(text, '<onbuild>');
    if (command.ok) return command.value;
    return locate(stage, () => stop(command.error.message, 'DF007'));
  });
  const planned = planCommands(list, state, commands, stage);
  state.commands = [...planned, ...state.commands];
  state.stepTotal += planned.length;
  return planned.some((p) => p.sources.length > 0);
}

/** A stage based on another one starts where that one ended; its triggers stay behind. */
function inherit(state: StageState, base: StageState, budget: Budget): void {
  state.state = base.state;
  state.paths = base.paths;
  state.platform = base.platform;
  budget.takeText(imageSize(base.image));
  const image = cloneImage(base.image);
  state.image = { ...image, config: { ...image.config, OnBuild: [] } };
  state.baseImage = base.baseImage;
  for (const [key, value] of base.buildArgs) state.buildArgs.set(key, value);
  state.workdirSet = base.workdirSet;
}
