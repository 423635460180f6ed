import { parseDockerfile, parseInstructions } from '../dockerfile/index.ts';
import { type Model, modelOf } from './dockerfile-model.ts';
import type { ContextFacts } from './finding.ts';
import { aptArchives, aptLists } from './rewrites/apt-mounts.ts';
import { textOf } from './rewrites/blocks.ts';
import { cacheMounts } from './rewrites/cache-mounts.ts';
import { hoistInstalls } from './rewrites/hoist-installs.ts';
import { ignoreUnused, withoutIgnored } from './rewrites/ignore-file.ts';
import { largeFirst, linkCopies, variablesDown } from './rewrites/order-copies.ts';
import type { IgnoreFile, Rewrite, Rewriter } from './rewrites/rewrite.ts';
import { copyWithMode, copyWithOwner } from './rewrites/rights.ts';

/** Each works on what those before it made. */
const REWRITERS: readonly Rewriter[] = [
  ignoreUnused,
  hoistInstalls,
  copyWithMode,
  copyWithOwner,
  largeFirst,
  variablesDown,
  cacheMounts,
  aptArchives,
  aptLists,
  linkCopies,
];

/** A rewrite that was made. */
export interface AppliedRewrite {
  readonly key: string;
  readonly kind: string;
  readonly title: string;
  /** Paths of the image that may disappear with it. */
  readonly drops: readonly string[];
  /** It takes something out of the image that a container may use. */
  readonly removal?: true;
  readonly probes?: string;
}

/** A Dockerfile after rewrites. */
export interface Rewritten {
  readonly text: string;
  readonly model: Model;
  /** The ignore file, where a rewrite changed it. */
  readonly ignore?: string;
  readonly applied: readonly AppliedRewrite[];
}

/** What is known besides the text. */
export interface RewriteFacts {
  readonly context: ContextFacts;
  readonly changing: ReadonlySet<string>;
  readonly target?: string;
  readonly ignoreFile?: IgnoreFile;
}

/** No Dockerfile needs more; a rewriter that never came to an end would be a fault. */
const MOST = 200;

/** Makes every rewrite that `wanted` says yes to, one kind after the other. */
export function rewrite(
  model: Model,
  facts: RewriteFacts,
  wanted: (rewrite: Pick<AppliedRewrite, 'key' | 'kind' | 'removal'>) => boolean,
): Rewritten {
  let [current, context, ignore] = [model, facts.context, facts.ignoreFile?.text];
  const applied: AppliedRewrite[] = [];
  const done = new Set<string>();
  for (const rewriter of REWRITERS)
    for (let turn = 0; turn < MOST; turn++) {
      const next = rewriter({
        ...{ model: current, facts: context, changing: facts.changing },
        ...(facts.ignoreFile === undefined
          ? {}
          : { ignoreFile: withText(facts.ignoreFile, ignore) }),
      }).find((each) => !done.has(each.key) && wanted(each));
      if (next === undefined) break;
      done.add(next.key);
      const text = textOf(next.result);
      const changed = text === current.file.text ? current : modelOfText(text, current, facts);
      if (changed === undefined || (changed === current && next.ignore === undefined)) continue;
      current = changed;
      if (next.ignore !== undefined) {
        ignore = next.ignore;
        context = withoutIgnored(context, ignore);
      }
      applied.push(appliedFrom(next));
    }
  const result = { text: current.file.text, model: current, applied };
  return ignore === undefined || ignore === facts.ignoreFile?.text ? result : { ...result, ignore };
}

function appliedFrom({ key, kind, title, drops, removal, probes }: Rewrite): AppliedRewrite {
  return {
    ...{ key, kind, title, drops },
    ...(removal === undefined ? {} : { removal }),
    ...(probes === undefined ? {} : { probes }),
  };
}

const withText = ({ name }: IgnoreFile, text: string | undefined): IgnoreFile =>
  text === undefined ? { name } : { name, text };

/** The model of a changed text; undefined when it is no Dockerfile any more. */
export function modelOfText(
  text: string,
  { file }: Model,
  { target }: { readonly target?: string },
): Model | undefined {
  const parsed = parseDockerfile({ path: file.path, text });
  if (!parsed.ok) return undefined;
  const instructions = parseInstructions(parsed.value);
  return instructions.ok ? modelOf(parsed.value, instructions.value, target) : undefined;
}
