import { type AddCommand, type CopyCommand, MESSAGES, rule } from '../dockerfile/index.ts';
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
