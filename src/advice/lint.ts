import { byCodeUnit, positionAt } from '../base/index.ts';
import type { Model } from './dockerfile-model.ts';
import type { AdviceRule, ContextFacts, Finding } from './finding.ts';
import {
  UNPINNED_BASE,
  UNPINNED_DOWNLOAD,
  UNPINNED_PACKAGE,
  unpinnedBases,
  unpinnedDownloads,
  unpinnedPackages,
} from './rules/inputs.ts';
import { IGNORE_FILE, ignoreFile, RECURSIVE_RIGHTS, recursiveRights } from './rules/layers.ts';
import {
  CONTEXT_BEFORE_INSTALL,
  contextBeforeInstall,
  SMALL_BEFORE_LARGE,
  smallBeforeLarge,
} from './rules/order.ts';
import {
  BUILD_TOOLS,
  buildTools,
  LISTS_KEPT,
  listsKept,
  NO_CACHE_MOUNT,
  noCacheMount,
  UPDATE_ALONE,
  updateAlone,
} from './rules/packages.ts';
import {
  CHANGING_VARIABLE,
  changingVariables,
  SECRET_VARIABLE,
  secretVariables,
} from './rules/variables.ts';

/** Every rule about caching, in the order of the documentation. */
export const ADVICE_RULES: readonly AdviceRule[] = [
  CONTEXT_BEFORE_INSTALL,
  SMALL_BEFORE_LARGE,
  CHANGING_VARIABLE,
  RECURSIVE_RIGHTS,
  NO_CACHE_MOUNT,
  LISTS_KEPT,
  UPDATE_ALONE,
  IGNORE_FILE,
  BUILD_TOOLS,
  SECRET_VARIABLE,
  UNPINNED_BASE,
  UNPINNED_DOWNLOAD,
  UNPINNED_PACKAGE,
];

/** What is known beyond the text of the Dockerfile. */
export interface LintFacts {
  /** Absent: rules about the context say nothing. */
  readonly context?: ContextFacts;
  /** Arguments and variables whose changes have run steps. */
  readonly changing?: ReadonlySet<string>;
}

/** All findings in the order of the file; those that a comment switches off are left out. */
export function lintCaching(model: Model, facts: LintFacts = {}): readonly Finding[] {
  const { context, changing = new Set<string>() } = facts;
  const found = [
    ...contextBeforeInstall(model),
    ...(context === undefined ? [] : smallBeforeLarge(model, context)),
    ...changingVariables(model, changing),
    ...recursiveRights(model),
    ...noCacheMount(model),
    ...listsKept(model),
    ...updateAlone(model),
    ...(context === undefined ? [] : ignoreFile(model, context)),
    ...buildTools(model),
    ...secretVariables(model),
    ...unpinnedBases(model),
    ...unpinnedDownloads(model),
    ...unpinnedPackages(model),
  ];
  const ignored = ignoredRules(model);
  return found
    .filter((finding) => !isIgnored(finding, model, ignored))
    .sort((a, b) => (a.span?.offset ?? 0) - (b.span?.offset ?? 0) || byCodeUnit(a.rule, b.rule));
}

const COMMENT = /^[ \t]*#[ \t]*varve:ignore=([\w,-]+)/;

/**
 * Rules that `# varve:ignore=RULE[,RULE]` switches off: above the first instruction for the whole file, elsewhere for the
 * instruction below it. Rule `all` stands for every one.
 */
function ignoredRules({ file, parsed }: Model): ReadonlyMap<number, ReadonlySet<string>> {
  const rules = new Map<number, Set<string>>();
  const first = parsed.ast.children[0]?.lines[0] ?? 0;
  for (const [i, text] of file.text.split('\n').entries()) {
    const names = COMMENT.exec(text)?.[1]?.split(',');
    if (names === undefined) continue;
    const next = parsed.ast.children.find(({ lines }) => lines[0] > i + 1 || lines[1] > i + 1);
    const line = i + 1 < first ? WHOLE_FILE : (next?.lines[0] ?? WHOLE_FILE);
    rules.set(line, new Set([...(rules.get(line) ?? []), ...names]));
  }
  return rules;
}

const WHOLE_FILE = 0;

function isIgnored(
  { rule, span }: Finding,
  { file, parsed }: Model,
  ignored: ReadonlyMap<number, ReadonlySet<string>>,
): boolean {
  if (ignored.size === 0) return false;
  const line = span === undefined ? WHOLE_FILE : positionAt(file.text, span.offset).line;
  const node = parsed.ast.children.find(({ lines }) => lines[0] <= line && line <= lines[1]);
  return [WHOLE_FILE, node?.lines[0] ?? WHOLE_FILE].some((at) => {
    const names = ignored.get(at);
    return names?.has(rule) === true || names?.has('all') === true;
  });
}
