import { err, ok, type Result } from '../base/index.ts';
import type { AstNode, Word } from './ast.ts';
import type { Stage } from './command.ts';
import { commandBase, docComment, wrong } from './command-base.ts';
import type { Problem } from './fail.ts';
import { parseFlags } from './flags.ts';
import { goString } from './go-text.ts';

const STAGE_NAME = /^[a-z][a-z0-9\-_.]*$/;

/** `FROM [--platform=p] base [AS name]`. The stage has no commands yet. */
export function parseFrom(node: AstNode): Result<Stage, Problem> {
  const [base, as, name, ...more] = node.args;
  const named = as !== undefined && name !== undefined && more.length === 0 && saysAs(as.value);
  if (base === undefined || !(named || as === undefined))
    return wrong(node, 'FROM requires either one or three arguments');
  const stageName = named ? name.value.toLowerCase() : '';
  if (named && !STAGE_NAME.test(stageName)) return badName(name);
  const flags = parseFlags(node.flags, { platform: 'string' });
  if (!flags.ok) return flags;
  return ok({
    kind: 'from',
    ...commandBase(node),
    stageName,
    ...(named ? { as: name } : {}),
    base,
    platform: flags.value.text('platform'),
    docComment: docComment(node.prevComment, stageName),
    commands: [],
  });
}

// Go compares under Unicode's simple folding.
const saysAs = (word: string): boolean => word === 'AS' || word === 'as' || /^as$/iu.test(word);

function badName(name: Word): { ok: false; error: Problem } {
  const shown = goString(name.value);
  const message = `invalid name for build stage: ${shown}, name can't start with a number or contain symbols`;
  return err({ message, span: name.span, code: 'DF013' });
}
