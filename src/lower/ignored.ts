import {
  type AddCommand,
  type CopyCommand,
  MESSAGES,
  PatternMatcher,
  rule,
} from '../dockerfile/index.ts';
import { cleanPath } from './paths.ts';
import type { Lowering, PlannedCommand } from './stage-state.ts';

/** CopyIgnoredFile: a source of COPY or ADD that the ignore file excludes. */
export function checkIgnored(
  lowering: Lowering,
  planned: PlannedCommand & { readonly command: AddCommand | CopyCommand },
  source: string,
): void {
  const { isIgnored } = lowering;
  const path = cleanPath(source);
  if (isIgnored === undefined || !isIgnored(path)) return;
  const name = planned.command.kind === 'add' ? 'Add' : 'Copy';
  const message = MESSAGES.CopyIgnoredFile(name, path);
  lowering.linter
    .withComments(planned.command.comments)
    .warn(rule('CopyIgnoredFile'), message, planned.at);
}

/** Patterns that leave nothing of a context. */
const EVERYTHING: ReadonlySet<string> = new Set(['*', '**', '**/*']);

/**
 * What is certainly left out of the context: nothing is where a pattern takes files back, and the context itself only by a
 * pattern for everything (BuildKit dockerfile2llb/validations.go, `validateCopySourcePath`).
 */
export function ignoredBy(excludes: readonly string[]): ((path: string) => boolean) | undefined {
  if (excludes.length === 0 || excludes.some((p) => p.startsWith('!'))) return undefined;
  const matcher = PatternMatcher.create(excludes);
  if (!matcher.ok) return undefined;
  const all = excludes.some((p) => EVERYTHING.has(p));
  return (path) =>
    path === '.' || path === '/'
      ? all && matcher.value.matchesOrParentMatches(path)
      : matcher.value.matchesOrParentMatches(path);
}
