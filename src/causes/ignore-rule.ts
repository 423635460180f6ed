import { PatternMatcher } from '../dockerfile/index.ts';
import type { Change } from '../events/index.ts';

/** The last pattern of an ignore file that decides about a path, when the path is excluded by it. */
export function excludingRule(patterns: readonly string[], path: string): string | undefined {
  const all = PatternMatcher.create(patterns);
  if (!all.ok || !all.value.matchesOrParentMatches(path)) return undefined;
  return patterns.findLast((pattern) => {
    const one = PatternMatcher.create([pattern]);
    return !pattern.trim().startsWith('!') && one.ok && one.value.matchesOrParentMatches(path);
  });
}

/**
 * The rules behind files that came or went because the ignore file changed; undefined when it explains none of them. What
 * it does not explain is left among the changes of files.
 */
export function diffIgnoreRules(
  files: readonly Change[],
  before: readonly string[],
  after: readonly string[],
): { readonly rules: readonly Change[]; readonly files: readonly Change[] } {
  if (before.join('\n') === after.join('\n')) return { rules: [], files };
  const rules = new Map<string, Change>();
  const rest: Change[] = [];
  for (const file of files) {
    const rule = ruleOf(file, before, after);
    if (rule === undefined) rest.push(file);
    else rules.set(rule.name, rule);
  }
  return { rules: [...rules.values()], files: rest };
}

function ruleOf(
  file: Change,
  before: readonly string[],
  after: readonly string[],
): Change | undefined {
  const appeared = file.before === undefined;
  if (!appeared && file.after !== undefined) return undefined;
  const [without, having] = appeared ? [after, before] : [before, after];
  const rule = excludingRule(having, file.name);
  if (rule === undefined || excludingRule(without, file.name) !== undefined) return undefined;
  // A rule that stands in both files lost its effect by an exception.
  if (having.includes(rule) && without.includes(rule)) {
    const exception =
      without.find((each) => !having.includes(each) && excepts(each, file.name)) ?? rule;
    return appeared
      ? { kind: 'ignore rule', name: exception, after: exception }
      : { kind: 'ignore rule', name: exception, before: exception };
  }
  return appeared
    ? { kind: 'ignore rule', name: rule, before: rule }
    : { kind: 'ignore rule', name: rule, after: rule };
}

/** Whether a rule takes a path back. */
function excepts(pattern: string, path: string): boolean {
  const one = pattern.startsWith('!') ? PatternMatcher.create([pattern.slice(1)]) : undefined;
  return one?.ok === true && one.value.matchesOrParentMatches(path);
}
