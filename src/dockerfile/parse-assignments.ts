import { ok, type Result } from '../base/index.ts';
import type { AstNode, Word } from './ast.ts';
import type { ArgCommand, ArgDefinition, EnvCommand, KeyValue, LabelCommand } from './command.ts';
import { atLeastOneArgument, blankName, commandBase, docComment } from './command-base.ts';
import type { Problem } from './fail.ts';
import { parseFlags } from './flags.ts';

/** `ARG name[=default] ...`. Words starting with `--` are taken for flags and ignored, as BuildKit does. */
export function parseArg(node: AstNode): Result<ArgCommand, Problem> {
  if (node.args.length === 0) return atLeastOneArgument(node, 'ARG');
  const args: ArgDefinition[] = [];
  for (const { value, span } of node.args) {
    const equals = value.indexOf('=');
    if (equals === 0) return blankName(node, 'ARG');
    const key = equals === -1 ? value : value.slice(0, equals);
    const comment = docComment(node.prevComment, key);
    const definition = { key, docComment: comment, span };
    args.push(equals === -1 ? definition : { ...definition, value: value.slice(equals + 1) });
  }
  return ok({ kind: 'arg', ...commandBase(node), args });
}

/** `ENV name=value ...` or `ENV name value`. */
export function parseEnv(node: AstNode): Result<EnvCommand, Problem> {
  const pairs = keyValues(node, 'ENV');
  return pairs.ok ? ok({ kind: 'env', ...commandBase(node), pairs: pairs.value }) : pairs;
}

/** `LABEL name=value ...` or `LABEL name value`. */
export function parseLabel(node: AstNode): Result<LabelCommand, Problem> {
  const pairs = keyValues(node, 'LABEL');
  return pairs.ok ? ok({ kind: 'label', ...commandBase(node), pairs: pairs.value }) : pairs;
}

function keyValues(node: AstNode, command: 'ENV' | 'LABEL'): Result<KeyValue[], Problem> {
  const flags = parseFlags(node.flags, {});
  if (!flags.ok) return flags;
  if (node.args.length === 0) return atLeastOneArgument(node, command);
  const pairs: KeyValue[] = [];
  for (let i = 0; i < node.args.length; i += 3) {
    const [key, value, delimiter] = node.args.slice(i, i + 3);
    if (key === undefined || key.value === '') return blankName(node, command);
    pairs.push({
      key: key.value,
      value: value?.value ?? '',
      legacy: delimiter?.value === '',
      span: cover(key, value ?? key),
    });
  }
  return ok(pairs);
}

const cover = (first: Word, last: Word): Word['span'] => ({
  offset: first.span.offset,
  length: Math.max(0, last.span.offset + last.span.length - first.span.offset),
});
