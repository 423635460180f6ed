import { err, ok, type Result } from '../base/index.ts';
import type { AstNode, EscapeToken } from './ast.ts';
import type { Problem } from './fail.ts';
import { skipSpace, skipSpaceBack } from './go-text.ts';
import { parseArgs } from './grammars.ts';
import type { MappedText } from './mapped-text.ts';
import { type SplitCommand, splitCommand } from './split-command.ts';

interface Head {
  readonly line: MappedText;
  readonly command: SplitCommand;
}

/**
 * Parses a logical line; line numbers, comments and here-documents are the caller's business. ONBUILD inside ONBUILD is
 * refused only later, so the nesting is a loop: a hostile line cannot exhaust the stack.
 */
export function parseNode(line: MappedText, escapeToken: EscapeToken): Result<AstNode, Problem> {
  const outer: Head[] = [];
  let inner: Head = { line, command: splitCommand(line, escapeToken) };
  while (isOnbuild(inner) && inner.command.rest.text !== '') {
    outer.push(inner);
    const { rest } = inner.command;
    inner = { line: rest, command: splitCommand(rest, escapeToken) };
  }
  const args = isOnbuild(inner)
    ? ok({ args: [], json: false })
    : parseArgs(inner.command.keyword.value, inner.command.rest, escapeToken);
  if (!args.ok) return err(args.error);
  let node = nodeOf(inner, args.value);
  for (const head of outer.reverse()) node = nodeOf(head, { args: [], json: false, child: node });
  return ok(node);
}

const isOnbuild = (head: Head): boolean => head.command.keyword.value.toLowerCase() === 'onbuild';

function nodeOf(head: Head, rest: Pick<AstNode, 'args' | 'json' | 'child'>): AstNode {
  const { keyword, flags } = head.command;
  const { text } = head.line;
  return {
    value: keyword.value,
    keyword: keyword.span,
    flags,
    heredocs: [],
    original: text,
    lines: [0, 0],
    span: head.line.span(skipSpace(text), skipSpaceBack(text)),
    prevComment: [],
    ...rest,
  };
}
