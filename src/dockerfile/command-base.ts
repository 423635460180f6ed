import { err } from '../base/index.ts';
import type { AstNode } from './ast.ts';
import type { CommandBase } from './command.ts';
import type { Problem } from './fail.ts';
import { trimSpace } from './go-text.ts';

/** What every typed instruction takes over from its node. */
export function commandBase(node: AstNode): CommandBase {
  return {
    name: node.value,
    code: trimSpace(node.original),
    span: node.span,
    keyword: node.keyword,
    lines: node.lines,
    comments: node.prevComment,
    flags: node.flags,
  };
}

type Failed = { readonly ok: false; readonly error: Problem };

/** A problem with the instruction as a whole. */
export function wrong(node: AstNode, message: string, at: Partial<Problem> = {}): Failed {
  return err({ message, span: node.span, code: 'DF011', ...at });
}

/** BuildKit's text for no argument at all. */
export const atLeastOneArgument = (node: AstNode, command: string): Failed =>
  wrong(node, `${command} requires at least one argument`);

/** BuildKit's text for none or too many arguments. */
export const exactlyOneArgument = (node: AstNode, command: string): Failed =>
  wrong(node, `${command} requires exactly one argument`);

/** BuildKit's text for `=value`. */
export const blankName = (node: AstNode, command: string): Failed =>
  wrong(node, `${command} names can not be blank`);

/** Text of the first comment `<name> <text>`; empty when there is none (BuildKit `getDocComment`). */
export function docComment(comments: readonly string[], name: string): string {
  if (name === '') return '';
  const comment = comments.find((line) => line.startsWith(`${name} `));
  return comment === undefined ? '' : comment.slice(name.length + 1);
}
