import { parseDockerfile, parseInstructions } from '../dockerfile/index.ts';
import { type Model, modelOf } from './dockerfile-model.ts';
import type { ContextFacts } from './finding.ts';
import { textOf } from './rewrites/blocks.ts';
import { cacheMounts } from './rewrites/cache-mounts.ts';
import { hoistInstalls } from './rewrites/hoist-installs.ts';
import { largeFirst, linkCopies, variablesDown } from './rewrites/order-copies.ts';
import type { Rewriter } from './rewrites/rewrite.ts';
import { copyWithMode, copyWithOwner } from './rewrites/rights.ts';

/** Each works on what those before it made. */
const REWRITERS: readonly Rewriter[] = [
  hoistInstalls,
  copyWithMode,
  copyWithOwner,
  largeFirst,
  variablesDown,
  cacheMounts,
  linkCopies,
];

/** A rewrite that was made. */
export interface AppliedRewrite {
  readonly key: string;
  readonly kind: string;
  readonly title: string;
  /** Paths of the image that may disappear with it. */
  readonly drops: readonly string[];
  readonly probes?: string;
}

/** A Dockerfile after rewrites. */
export interface Rewritten {
  readonly text: string;
  readonly model: Model;
  readonly applied: readonly AppliedRewrite[];
}

/** What is known besides the text. */
export interface RewriteFacts {
  readonly context: ContextFacts;
  readonly changing: ReadonlySet<string>;
  readonly target?: string;
}

/** No Dockerfile needs more; a rewriter that never came to an end would be a fault. */
const MOST = 200;

/** Makes every rewrite that `wanted` says yes to, one kind after the other. */
export function rewrite(
  model: Model,
  facts: RewriteFacts,
  wanted: (key: string, kind: string) => boolean,
): Rewritten {
  let current = model;
  const applied: AppliedRewrite[] = [];
  const done = new Set<string>();
  for (const rewriter of REWRITERS)
    for (let turn = 0; turn < MOST; turn++) {
      const next = rewriter({
        model: current,
        facts: facts.context,
        changing: facts.changing,
      }).find(({ key, kind }) => !done.has(key) && wanted(key, kind));
      if (next === undefined) break;
      done.add(next.key);
      const text = textOf(next.result);
      const changed =
        text === current.file.text ? undefined : modelOfText(text, current, facts.target);
      if (changed === undefined) continue;
      current = changed;
      const { key, kind, title, drops, probes } = next;
      applied.push({ key, kind, title, drops, ...(probes === undefined ? {} : { probes }) });
    }
  return { text: current.file.text, model: current, applied };
}

/** The model of a changed text; undefined when it is no Dockerfile any more. */
function modelOfText(text: string, { file }: Model, target: string | undefined): Model | undefined {
  const parsed = parseDockerfile({ path: file.path, text });
  if (!parsed.ok) return undefined;
  const instructions = parseInstructions(parsed.value);
  return instructions.ok ? modelOf(parsed.value, instructions.value, target) : undefined;
}
