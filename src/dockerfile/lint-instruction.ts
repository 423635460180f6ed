import type { AstNode } from './ast.ts';
import type { Command, Stage } from './command.ts';
import type { Linter } from './linter.ts';
import { MESSAGES, rule } from './rules.ts';

/** MaintainerDeprecated. */
export function lintMaintainer(node: AstNode, linter: Linter): void {
  if (node.value.toLowerCase() === 'maintainer')
    linter.warn(rule('MaintainerDeprecated'), MESSAGES.MaintainerDeprecated(), node);
}

/** StageNameCasing and FromAsCasing, before the instruction is checked. */
export function lintFrom(node: AstNode, linter: Linter): void {
  if (node.value.toLowerCase() !== 'from') return;
  const [, as, name] = node.args;
  if (as === undefined || name === undefined) return;
  if (node.args.length === 3 && name.value !== name.value.toLowerCase()) {
    const message = MESSAGES.StageNameCasing(name.value);
    linter.warn(rule('StageNameCasing'), message, { lines: node.lines, span: name.span });
  }
  if (!casingMatches(node.value, as.value)) {
    const message = MESSAGES.FromAsCasing(node.value, as.value);
    linter.warn(rule('FromAsCasing'), message, { lines: node.lines, span: as.span });
  }
}

/** A keyword in mixed case is ConsistentInstructionCasing's business. */
function casingMatches(from: string, as: string): boolean {
  if (from === from.toLowerCase()) return as === as.toLowerCase();
  return from !== from.toUpperCase() || as === as.toUpperCase();
}

/** InvalidDefinitionDescription (experimental): the comment above ARG or a named FROM starts with its name. */
export function lintDescription(command: Command | Stage, linter: Linter): void {
  if (command.kind !== 'arg' && command.kind !== 'from') return;
  const names =
    command.kind === 'arg'
      ? command.args.map((arg) => arg.key)
      : command.stageName === ''
        ? []
        : [command.stageName];
  const [name] = names;
  const comment = command.comments.at(-1);
  if (name === undefined || comment === undefined) return;
  if (names.includes(comment.split(' ', 1)[0] ?? '')) return;
  const instruction = command.kind === 'arg' ? 'ARG' : 'FROM';
  const shown = names.length > 1 ? '<arg_key>' : name;
  const message = MESSAGES.InvalidDefinitionDescription(instruction, shown);
  linter.warn(rule('InvalidDefinitionDescription'), message, command);
}
