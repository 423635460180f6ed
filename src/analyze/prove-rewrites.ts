import {
  type AppliedRewrite,
  type ContextFacts,
  type IgnoreFile,
  type Model,
  type Rewritten,
  rewrite,
  stageSplit,
} from '../advice/index.ts';
import { ok, type Result } from '../base/index.ts';
import {
  compareImages,
  differenceText,
  type ImageComparison,
  type ImageContent,
} from './image-proof.ts';
import { proveSplit } from './prove-split.ts';
import { diffTrees } from './tree-listing.ts';

/** A rewrite that was tried and not kept. */
export interface RefusedRewrite {
  readonly rewrite: AppliedRewrite;
  readonly why: string;
}

/** A Dockerfile that was proven to make an equal image. */
export interface Proven {
  readonly text: string;
  /** The ignore file, where it was changed. */
  readonly ignore?: string;
  readonly kept: readonly AppliedRewrite[];
  readonly refused: readonly RefusedRewrite[];
  readonly comparison: ImageComparison;
  /** How many times an image was built for the proof. */
  readonly builds: number;
}

/** What a proof needs of the outside. */
export interface ProofWorld {
  /** Builds a Dockerfile over the unchanged context; a failure is why it cannot be built. */
  readonly build: (text: string, options: ProofBuild) => Promise<Result<ImageContent>>;
}

/** One build of a proof. */
export interface ProofBuild {
  /** Without the cache. */
  readonly fresh: boolean;
  readonly args: Readonly<Record<string, string>>;
  /** Another text of the ignore file. */
  readonly ignore?: string;
  /** Another stage than the one that is asked for. */
  readonly target?: string;
  /** Also reads what programs need to start. */
  readonly programs?: boolean;
}

/** What is to be rewritten. */
export interface ProofSubject {
  readonly model: Model;
  readonly facts: ContextFacts;
  readonly changing: ReadonlySet<string>;
  readonly target?: string;
  /** Absent: the ignore file is left as it is. */
  readonly ignoreFile?: IgnoreFile;
  /** Whether files may be taken out of the image that a container might use. */
  readonly allowRemovals: boolean;
  /** Rewrites that are not wanted, by kind. */
  readonly without: ReadonlySet<string>;
}

/**
 * Finds the rewrites that survive being built: all of them at once if that works, else one after the other, each on top of
 * those that were kept. The error is that the original cannot be built.
 */
export async function proveRewrites(
  subject: ProofSubject,
  world: ProofWorld,
): Promise<Result<Proven>> {
  const prover = new Prover(subject, world);
  const original = await prover.begin();
  if (!original.ok) return original;
  const all = prover.rewritten(() => true);
  const whole = await prover.prove(all);
  const refused: RefusedRewrite[] = [...prover.removals()];
  if (whole.ok) return ok(await prover.finish(all, whole.value, refused));
  const kept = new Set<string>();
  let best = prover.rewritten(() => false);
  let proof = compareImages(original.value, original.value, { drops: [], unstable: new Set() });
  // A rewrite may only become possible by one that was kept: the list is read anew each time.
  for (const tried = new Set<string>(); ; ) {
    const next = prover
      .rewritten((key) => kept.has(key) || !tried.has(key))
      .applied.find(({ key }) => !tried.has(key));
    if (next === undefined) break;
    tried.add(next.key);
    const candidate = prover.rewritten((key) => kept.has(key) || key === next.key);
    const proven = await prover.prove(candidate);
    if (proven.ok) {
      kept.add(next.key);
      [best, proof] = [candidate, proven.value];
    } else refused.push({ rewrite: next, why: proven.error });
  }
  return ok(await prover.finish(best, proof, refused));
}

class Prover {
  readonly #subject: ProofSubject;
  readonly #world: ProofWorld;
  #original: ImageContent | undefined;
  #unstable: ReadonlySet<string> | undefined;
  #builds = 0;

  constructor(subject: ProofSubject, world: ProofWorld) {
    this.#subject = subject;
    this.#world = world;
  }

  async begin(): Promise<Result<ImageContent>> {
    const built = await this.#build(this.#subject.model.file.text);
    if (built.ok) this.#original = built.value;
    return built;
  }

  /** Rewrites that would take something out of the image, which is not allowed. */
  removals(): readonly RefusedRewrite[] {
    if (this.#subject.allowRemovals) return [];
    return this.#rewritten(() => true)
      .applied.filter(({ removal }) => removal === true)
      .map((each) => ({ rewrite: each, why: REMOVES }));
  }

  rewritten(wanted: (key: string) => boolean): Rewritten {
    const { allowRemovals } = this.#subject;
    return this.#rewritten(
      ({ key, removal }) => (allowRemovals || removal !== true) && wanted(key),
    );
  }

  #rewritten(wanted: (each: Pick<AppliedRewrite, 'key' | 'removal'>) => boolean): Rewritten {
    const { model, facts, changing, target, ignoreFile, without } = this.#subject;
    return rewrite(
      model,
      {
        ...{ context: facts, changing },
        ...(target === undefined ? {} : { target }),
        ...(ignoreFile === undefined ? {} : { ignoreFile }),
      },
      (each) => !without.has(each.kind) && wanted(each),
    );
  }

  /** Builds a rewrite and compares it with the original; the error says what is not equal. */
  async prove(rewritten: Rewritten): Promise<Result<ImageComparison, string>> {
    const { text, applied, ignore } = rewritten;
    const original = this.#started();
    const changed = ignore === undefined ? {} : { ignore };
    const built = await this.#build(text, changed);
    if (!built.ok) return { ok: false, error: `it cannot be built: ${built.error.message}` };
    const drops = applied.flatMap((each) => each.drops);
    let comparison = compareImages(original, built.value, { drops, unstable: new Set() });
    if (!comparison.equal && comparison.config.length === 0) {
      const unstable = await this.#differsByItself(original);
      comparison = compareImages(original, built.value, { drops, unstable });
    }
    if (!comparison.equal) return { ok: false, error: differenceText(comparison) };
    for (const name of applied.flatMap(({ probes }) => probes ?? [])) {
      const args = { [name]: 'varve-probe-1' };
      if (!(await this.#holdsFor({ args }, rewritten)))
        return { ok: false, error: `the images differ when ${name} has another value` };
    }
    // An ignore file holds for every target of the Dockerfile.
    for (const target of ignore === undefined ? [] : otherTargets(this.#subject.model)) {
      if (!(await this.#holdsFor({ target }, rewritten)))
        return { ok: false, error: `the images of the target ${target} differ or cannot be built` };
    }
    return ok(comparison);
  }

  /** The result, with the work in a stage of its own where that can be proven. */
  async finish(
    rewritten: Rewritten,
    comparison: ImageComparison,
    refused: readonly RefusedRewrite[],
  ): Promise<Proven> {
    const { without, allowRemovals } = this.#subject;
    const split = without.has('stage-split') ? undefined : stageSplit(rewritten.model);
    if (split === undefined) return this.#result(rewritten, comparison, refused);
    const applied: AppliedRewrite = {
      ...{ key: split.key, kind: 'stage-split', drops: [], removal: true },
      title: `a stage of its own for the work with ${split.tools.join(', ')}`,
    };
    const proven = allowRemovals
      ? await proveSplit(split, rewritten, {
          build: (text, options) => this.#build(text, options),
          original: this.#started(),
          unstable: this.#unstable ?? new Set(),
        })
      : { ok: false as const, error: REMOVES };
    if (!proven.ok)
      return this.#result(rewritten, comparison, [
        ...refused,
        { rewrite: applied, why: proven.error },
      ]);
    const [text, other] = proven.value;
    const all = { ...rewritten, text, applied: [...rewritten.applied, applied] };
    return this.#result(all, other, refused);
  }

  #started(): ImageContent {
    if (this.#original === undefined) throw new Error('the original is built first');
    return this.#original;
  }

  #result(
    { text, applied, ignore }: Rewritten,
    comparison: ImageComparison,
    refused: readonly RefusedRewrite[],
  ): Proven {
    const result = { text, kept: applied, refused, comparison, builds: this.#builds };
    return ignore === undefined ? result : { ...result, ignore };
  }

  /** Whether both make equal images with another value of an argument, or of another target. */
  async #holdsFor(
    asked: Pick<Partial<ProofBuild>, 'args' | 'target'>,
    { text, applied, ignore }: Rewritten,
  ): Promise<boolean> {
    const before = await this.#build(this.#subject.model.file.text, asked);
    const changed = ignore === undefined ? asked : { ...asked, ignore };
    const after = await this.#build(text, changed);
    if (!before.ok || !after.ok) return false;
    const drops = applied.flatMap((each) => each.drops);
    const unstable = this.#unstable ?? new Set<string>();
    return compareImages(before.value, after.value, { drops, unstable }).equal;
  }

  /** Paths that differ between two builds of the original, built once more without the cache. */
  async #differsByItself(original: ImageContent): Promise<ReadonlySet<string>> {
    if (this.#unstable !== undefined) return this.#unstable;
    const again = await this.#build(this.#subject.model.file.text, { fresh: true });
    const differences = again.ok ? diffTrees(original.tree, again.value.tree) : [];
    this.#unstable = new Set(differences.map(({ path }) => path));
    return this.#unstable;
  }

  async #build(text: string, options: Partial<ProofBuild> = {}): Promise<Result<ImageContent>> {
    this.#builds++;
    return await this.#world.build(text, { fresh: false, args: {}, ...options });
  }
}

/** Named stages that are no part of the image and of no other stage: targets of their own. */
function otherTargets({ stages }: Model): readonly string[] {
  const used = new Set(
    stages.flatMap(({ stage, items }) => [
      stage.base.value.toLowerCase(),
      ...items.flatMap(({ command, mounts }) => [
        ...(command.kind === 'copy' ? [command.from.toLowerCase()] : []),
        ...mounts.map(({ from }) => from.toLowerCase()),
      ]),
    ]),
  );
  return stages
    .filter(({ inImage, stage }) => !inImage && stage.stageName !== '')
    .map(({ stage }) => stage.stageName)
    .filter((name) => !used.has(name));
}

const REMOVES = 'it takes files out of the image; --allow-removals permits that';
