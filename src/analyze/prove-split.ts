import type { Rewritten, StageSplit } from '../advice/index.ts';
import { err, ok, type Result } from '../base/index.ts';
import {
  compareImages,
  differenceText,
  type ImageComparison,
  type ImageContent,
} from './image-proof.ts';
import type { ProofBuild } from './prove-rewrites.ts';
import { brokenPrograms, planSplit } from './split-stage.ts';

/** What a proof of a split needs. */
export interface SplitWorld {
  readonly build: (text: string, options: Partial<ProofBuild>) => Promise<Result<ImageContent>>;
  /** The image of the Dockerfile as it was in the beginning. */
  readonly original: ImageContent;
  readonly unstable: ReadonlySet<string>;
}

/** Programs named that would not start. */
const SHOWN = 3;

/** The Dockerfile with the work in a stage of its own, when its image is the original's but for the build tools. */
export async function proveSplit(
  split: StageSplit,
  { applied, ignore, model }: Rewritten,
  { build, original, unstable }: SplitWorld,
): Promise<Result<readonly [text: string, comparison: ImageComparison], string>> {
  const changed = ignore === undefined ? {} : { ignore };
  const built: ImageContent[] = [];
  for (const text of [split.runtime, split.through, model.file.text]) {
    const each = await build(text, changed);
    if (!each.ok) return err(`it cannot be built: ${each.error.message}`);
    built.push(each.value);
  }
  const [runtime, through, image] = built;
  if (runtime === undefined || through === undefined || image === undefined)
    throw new Error('three images were built');
  const trees = { runtime: runtime.tree, through: through.tree, image: image.tree };
  const plan = planSplit(split, trees);
  if (!plan.ok) return plan;
  const { text, removal } = plan.value;
  const after = await build(text, { ...changed, programs: true });
  if (!after.ok) return err(`it cannot be built: ${after.error.message}`);
  const drops = applied.flatMap((each) => each.drops);
  const comparison = compareImages(original, after.value, { drops, unstable, removal });
  if (!comparison.equal) return err(differenceText(comparison));
  const broken = brokenPrograms(after.value, removal);
  return broken.length === 0
    ? ok([text, comparison])
    : err(`programs would not start: ${broken.slice(0, SHOWN).join('; ')}`);
}
