import {
  type AppliedRewrite,
  type ContextFacts,
  type Model,
  type Rewritten,
  rewrite,
} from '../advice/index.ts';
import { ok, type Result } from '../base/index.ts';
import { compareImages, type ImageComparison, type ImageContent } from './image-proof.ts';
import { diffTrees } from './tree-listing.ts';

/** A rewrite that was tried and not kept. */
export interface RefusedRewrite {
  readonly rewrite: AppliedRewrite;
  readonly why: string;
}

/** A Dockerfile that was proven to make an equal image. */
export interface Proven {
  readonly text: string;
  readonly kept: readonly AppliedRewrite[];
  readonly refused: readonly RefusedRewrite[];
  readonly comparison: ImageComparison;
  /** How many times an image was built for the proof. */
  readonly builds: number;
}

/** What a proof needs of the outside. */
export interface ProofWorld {
  /** Builds a Dockerfile over the unchanged context; a failure is why it cannot be built. */
  readonly build: (
    text: string,
    options: { readonly fresh: boolean; readonly args: Readonly<Record<string, string>> },
  ) => Promise<Result<ImageContent>>;
}

/** What is to be rewritten. */
export interface ProofSubject {
  readonly model: Model;
  readonly facts: ContextFacts;
  readonly changing: ReadonlySet<string>;
  readonly target?: string;
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
  if (whole.ok) return ok(prover.result(all, whole.value, []));
  const refused: RefusedRewrite[] = [];
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
  return ok(prover.result(best, proof, refused));
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

  rewritten(wanted: (key: string) => boolean): Rewritten {
    const { model, facts, changing, target, without } = this.#subject;
    return rewrite(
      model,
      { context: facts, changing, ...(target === undefined ? {} : { target }) },
      (key, kind) => !without.has(kind) && wanted(key),
    );
  }

  /** Builds a rewrite and compares it with the original; the error says what is not equal. */
  async prove({ text, applied }: Rewritten): Promise<Result<ImageComparison, string>> {
    const original = this.#original;
    if (original === undefined) throw new Error('the original is built first');
    const built = await this.#build(text);
    if (!built.ok) return { ok: false, error: `it cannot be built: ${built.error.message}` };
    const drops = applied.flatMap((each) => each.drops);
    let comparison = compareImages(original, built.value, { drops, unstable: new Set() });
    if (!comparison.equal && comparison.config.length === 0) {
      const unstable = await this.#differsByItself(original);
      comparison = compareImages(original, built.value, { drops, unstable });
    }
    if (!comparison.equal) return { ok: false, error: differenceText(comparison) };
    for (const name of applied.flatMap(({ probes }) => probes ?? [])) {
      const same = await this.#holdsFor(name, text, drops);
      if (!same) return { ok: false, error: `the images differ when ${name} has another value` };
    }
    return ok(comparison);
  }

  result(
    { text, applied }: Rewritten,
    comparison: ImageComparison,
    refused: readonly RefusedRewrite[],
  ): Proven {
    return { text, kept: applied, refused, comparison, builds: this.#builds };
  }

  /** Whether both make equal images with another value of an argument. */
  async #holdsFor(name: string, text: string, drops: readonly string[]): Promise<boolean> {
    const args = { [name]: 'varve-probe-1' };
    const before = await this.#build(this.#subject.model.file.text, { args });
    const after = await this.#build(text, { args });
    if (!before.ok || !after.ok) return false;
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

  async #build(
    text: string,
    options: { readonly fresh?: boolean; readonly args?: Readonly<Record<string, string>> } = {},
  ): Promise<Result<ImageContent>> {
    this.#builds++;
    return await this.#world.build(text, {
      fresh: options.fresh ?? false,
      args: options.args ?? {},
    });
  }
}

const SHOWN = 3;

function differenceText({ differences, config }: ImageComparison): string {
  const paths = differences
    .slice(0, SHOWN)
    .map(({ path, before, after }) => `${path} (${before ?? 'absent'} -> ${after ?? 'absent'})`);
  const more = differences.length > SHOWN ? [`and ${differences.length - SHOWN} more`] : [];
  return `the images differ: ${[...paths, ...more, ...config].join('; ')}`;
}
