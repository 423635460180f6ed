import {
  type Instructions,
  Linter,
  lintLines,
  lintStages,
  type ParsedDockerfile,
  parseDockerfile,
  parseInstructions,
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
import { DEFAULT_PATH, encodeImage } from './image-config.ts';
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
import { hasQuestions, listed } from './questions.ts';
import type { LowerAnswers, LowerOutcome, LowerRequest, TimeQuestion } from './request.ts';
import type { Lowering, StageState } from './stage-state.ts';
import { locate, Stop, stop } from './stop.ts';
import { fireTriggers, inherit } from './triggers.ts';

/**
 * Lowers a Dockerfile to a graph of ops and an image configuration (BuildKit frontend/dockerfile/dockerfile2llb). Pure:
 * what must be looked up is returned as questions; ask again with the answers added, until it is lowered or failed.
 */
export function lower(request: LowerRequest, answers: LowerAnswers): LowerOutcome {
  return createLowering(request)(answers);
}

/**
 * As `lower`, for callers that ask more than once: the file is parsed and its stages are planned once. Answers may be added
 * between two questions, never taken back or changed.
 */
export function createLowering(request: LowerRequest): (answers: LowerAnswers) => LowerOutcome {
  const file = parse(request);
  if ('kind' in file) return () => file;
  let asking: Build | undefined;
  return (answers) => {
    const known = asking;
    asking = undefined;
    const linter = known?.linter ?? file.linter.fork();
    try {
      const build = known ?? new Build(request, answers, { ...file, linter });
      const outcome = build.run(answers);
      if (outcome.kind === 'needs' && build.canGoOn) asking = build;
      return outcome;
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
  /** What all is lowered with but what the ignore file of the context decides. */
  readonly #common: Omit<Lowering, 'context' | 'isIgnored'>;
  #lowering: Lowering;
  readonly #instructions: Instructions;
  readonly #declared: readonly string[];
  readonly #epoch: number | undefined;
  readonly #time: TimeQuestion | undefined;
  #planned: { readonly list: StageList; readonly target: StageState } | undefined;

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
    this.#time = question;
    this.#common = {
      ...{ request, escapeToken, linter, targetPlatform, budget: new Budget() },
      contextPaths: new Set(),
      globalArgs,
      parameters: global.parameters,
      hostname: request.hostname ?? buildArgs['BUILDKIT_SANDBOX_HOSTNAME'] ?? '',
      proxy: proxyOf(buildArgs),
      timestamp: this.#epoch === undefined ? -1n : BigInt(this.#epoch) * 1_000_000_000n,
      created: this.#epoch === undefined ? undefined : epochText(this.#epoch),
      networkMode: request.networkMode ?? 0,
      cacheNamespace: buildArgs['BUILDKIT_CACHE_MOUNT_NS'] ?? '',
    };
    this.#lowering = this.#inContext(answers);
  }

  get linter(): Linter {
    return this.#common.linter;
  }

  /** Whether `run` may be called again with more answers: a time that is asked for decides more than the stages' bases. */
  get canGoOn(): boolean {
    return this.#time === undefined;
  }

  #inContext(answers: LowerAnswers): Lowering {
    const { request, contextPaths } = this.#common;
    const excludes = ignorePatterns(answers.ignoreFiles.get('context'));
    const context = mainContext(request, excludes, contextPaths);
    return { ...this.#common, context, isIgnored: ignoredBy(excludes) };
  }

  run(answers: LowerAnswers): LowerOutcome {
    const { request, linter } = this.#common;
    if (this.#planned !== undefined) this.#lowering = this.#inContext(answers);
    this.#planned ??= this.#plan();
    const { list, target } = this.#planned;
    const bases = new BaseResolver(this.#lowering, answers);
    if (this.#time !== undefined) bases.questions.times.push(this.#time);
    if (request.context.kind === 'local' && !answers.ignoreFiles.has('context'))
      bases.questions.ignoreFiles.add('context');
    const reachable = this.#resolveBases(bases, list, target);
    if (hasQuestions(bases.questions)) return { kind: 'needs', ...listed(bases.questions) };
    for (const state of list.states)
      if ((request.allStages === true || reachable.has(state)) && !state.dispatched)
        this.#dispatchStage(state);
    const refused = linter.error();
    if (refused !== undefined) stop(refused, 'DF030');
    return this.#finish(list, target, reachable);
  }

  #plan(): { readonly list: StageList; readonly target: StageState } {
    const options = { lowering: this.#common, declared: this.#declared };
    const list = stageStates(this.#instructions, options);
    const { target: wanted = '' } = this.#common.request;
    const target = targetStage(list, wanted, this.#instructions.stages.length);
    for (const state of [...list.states])
      if (state.replacement === undefined)
        state.commands = planCommands(list, state, state.stage?.commands ?? []);
    checkCircles(list.states);
    if (list.states.length === 1) target.shownName = '';
    return { list, target };
  }

  /** Until no trigger adds a stage or an image: resolves what is needed. */
  #resolveBases(bases: BaseResolver, list: StageList, target: StageState): ReadonlySet<StageState> {
    const all = this.#lowering.request.allStages === true;
    for (;;) {
      const reachable = reachableFrom(target);
      const wanted = (state: StageState): boolean => all || reachable.has(state);
      for (const state of list.states) if (wanted(state)) bases.resolve(state, true);
      // A pass that lacks answers is made again: it leaves nothing behind but the bases it found.
      if (hasQuestions(bases.questions)) return reachable;
      for (const state of list.states) if (!wanted(state)) bases.resolve(state, false);
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
