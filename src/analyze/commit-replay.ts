import { createHash } from 'node:crypto';
import { localSourcesOf, type Model } from '../advice/index.ts';
import { byCodeUnit } from '../base/index.ts';
import {
  type AddCommand,
  type Command,
  type CopyCommand,
  PatternMatcher,
  parseMount,
  type RunCommand,
  type Stage,
} from '../dockerfile/index.ts';

/** The files of one commit: path to mode and content id, as `git ls-tree` names them. */
export type CommitFiles = ReadonlyMap<string, string>;

/** One commit of a history that is replayed, oldest first. */
export interface Commit {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly files: CommitFiles;
}

/** A step that a build of a Dockerfile makes. */
export interface ReplayStep {
  /** `stage/position`, and the instruction. */
  readonly name: string;
  readonly kind: 'copy' | 'run' | 'workdir';
}

/** What one commit's build would execute. */
export interface CommitPrediction {
  readonly commit: string;
  readonly at: number;
  readonly executed: readonly ReplayStep[];
  readonly steps: number;
}

/** What a prediction depends on besides the commits. */
export interface ReplayOptions {
  /** Patterns of the ignore file. */
  readonly ignored: readonly string[];
  /** Variables whose value is another one in every commit. */
  readonly changing: ReadonlySet<string>;
  readonly target?: string;
}

/**
 * Predicts what a build at each commit executes, one commit after the other on one machine that keeps everything: keys are
 * made as the builder makes them (a step's text, the key of the step it stands on, the content of the files it takes), and
 * a step is found when its key was seen before. The Dockerfile is the same at every commit. What a step takes of another
 * stage counts as changed when that stage's key is: a build may find it after all when the content is the same.
 */
export function predictCommits(
  model: Model,
  commits: readonly Commit[],
  options: ReplayOptions,
): readonly CommitPrediction[] {
  const seen = new Set<string>();
  return commits.map((commit) => {
    const steps = keysOf(model, commit, options);
    const executed = steps.filter(({ key }) => !seen.has(key)).map(({ step }) => step);
    for (const { key } of steps) seen.add(key);
    return { commit: commit.id, at: commit.at, executed, steps: steps.length };
  });
}

interface KeyedStep {
  readonly step: ReplayStep;
  readonly key: string;
}

interface KeyedStage {
  readonly name: string;
  /** Key of the stage's last step. */
  readonly key: string;
  readonly steps: readonly KeyedStep[];
  /** Stages that it stands on or takes from. */
  readonly needs: ReadonlySet<number>;
}

function keysOf(model: Model, commit: Commit, options: ReplayOptions): readonly KeyedStep[] {
  const files = contextOf(commit, options.ignored);
  const stages: KeyedStage[] = [];
  for (const { stage, items } of model.stages) {
    const keyer = new StageKeyer(stage, stages, { files, commit, options });
    for (const { command } of items) keyer.add(command);
    stages.push(keyer.result());
  }
  return reached(stages, options.target);
}

interface ReplayWorld {
  readonly files: CommitFiles;
  readonly commit: Commit;
  readonly options: ReplayOptions;
}

/** Keys the steps of one stage. */
class StageKeyer {
  readonly #stage: Stage;
  readonly #above: readonly KeyedStage[];
  readonly #world: ReplayWorld;
  readonly #needs = new Set<number>();
  readonly #steps: KeyedStep[] = [];
  readonly #environment: string[] = [];
  #key: string;
  #position = 0;

  constructor(stage: Stage, above: readonly KeyedStage[], world: ReplayWorld) {
    this.#stage = stage;
    this.#above = above;
    this.#world = world;
    const name = stage.base.value.toLowerCase();
    const base = above.findLastIndex((each) => each.name !== '' && each.name === name);
    if (base !== -1) this.#needs.add(base);
    this.#key = above[base]?.key ?? digest('base', stage.base.value, stage.platform);
  }

  add(command: Command): void {
    this.#position++;
    const { commit, options } = this.#world;
    const changing = changingIn(command.code, commit, options);
    switch (command.kind) {
      case 'arg':
      case 'env':
        this.#environment.push(digest(command.code, ...changing));
        return;
      case 'workdir':
        this.#key = digest('workdir', this.#key, command.code);
        this.#push(command, 'workdir', this.#key);
        return;
      case 'run':
        this.#key = digest('run', this.#key, ...this.#runInputs(command));
        this.#push(command, 'run', this.#key);
        return;
      case 'copy':
      case 'add': {
        const own = digest('copy', command.code, ...this.#copyInputs(command), ...changing);
        this.#push(command, 'copy', command.link ? own : digest(own, this.#key));
        this.#key = digest(own, this.#key);
        return;
      }
      default:
    }
  }

  result(): KeyedStage {
    const { stageName: name } = this.#stage;
    return { name, key: this.#key, steps: this.#steps, needs: this.#needs };
  }

  #push(command: Command, kind: ReplayStep['kind'], key: string): void {
    const name = `${this.#above.length}/${this.#position} ${command.code}`;
    this.#steps.push({ step: { name, kind }, key });
  }

  #runInputs(command: RunCommand): readonly string[] {
    const mounts = command.mounts.flatMap(({ value }) => {
      const mount = parseMount(value, (word) => ({ ok: true, value: word }));
      if (!mount.ok || mount.value.type !== 'bind') return [];
      const { from, source } = mount.value;
      return from === ''
        ? contentOf(this.#world.files, [source === '' ? '.' : source])
        : this.#stageKey(from);
    });
    const bodies = command.line.files.map(({ data }) => data);
    return [command.code, ...bodies, ...this.#environment, ...mounts];
  }

  #copyInputs(command: CopyCommand | AddCommand): readonly string[] {
    const from = command.kind === 'copy' ? command.from : '';
    const sources = localSourcesOf(command);
    return [
      from === '' ? contentOf(this.#world.files, sources) : this.#stageKey(from),
      ...command.contents.map(({ data }) => data),
    ];
  }

  /** The key of a stage by its name or number; of an image, its name. */
  #stageKey(name: string): string {
    const at = stageNamed(this.#above, name);
    if (at === -1) return name;
    this.#needs.add(at);
    return this.#above[at]?.key ?? name;
  }
}

function stageNamed(stages: readonly { readonly name: string }[], name: string): number {
  const byName = stages.findIndex((stage) => stage.name === name.toLowerCase() && name !== '');
  return byName === -1 && /^\d+$/.test(name) ? Number(name) : byName;
}

/** The steps of the target and of the stages that it needs, in the order of the file. */
function reached(stages: readonly KeyedStage[], target: string | undefined): readonly KeyedStep[] {
  const wanted = target === undefined ? -1 : stageNamed(stages, target);
  const seen = new Set([wanted === -1 ? stages.length - 1 : wanted]);
  for (const at of seen) for (const need of stages[at]?.needs ?? []) seen.add(need);
  return stages.flatMap(({ steps }, i) => (seen.has(i) ? steps : []));
}

/** A variable that changes with every commit is another text in each where its name stands. */
function changingIn(code: string, { id }: Commit, { changing }: ReplayOptions): readonly string[] {
  return [...changing].some((name) =>
    new RegExp(`(?<![A-Za-z0-9_])${name}(?![A-Za-z0-9_])`).test(code),
  )
    ? [id]
    : [];
}

function contextOf({ files }: Commit, ignored: readonly string[]): CommitFiles {
  const matcher = PatternMatcher.create(ignored);
  if (!matcher.ok || ignored.length === 0) return files;
  return new Map([...files].filter(([path]) => !matcher.value.matchesOrParentMatches(path)));
}

/** The content of the files that sources name. */
function contentOf(files: CommitFiles, sources: readonly string[]): string {
  const patterns = sources.map((source) => source.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, ''));
  const all = patterns.some((pattern) => pattern === '' || pattern === '.' || pattern === '*');
  const matcher = PatternMatcher.create(all ? [] : patterns);
  const taken = [...files].filter(
    ([path]) => all || (matcher.ok && matcher.value.matchesOrParentMatches(path)),
  );
  return digest(...taken.sort(([a], [b]) => byCodeUnit(a, b)).map(([path, id]) => `${path} ${id}`));
}

function digest(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:${part}`);
  return hash.digest('hex').slice(0, 24);
}
