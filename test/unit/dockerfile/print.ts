import {
  type Failure,
  positionAt,
  renderFailure,
  type SourceFile,
  type Span,
} from '../../../src/base/index.ts';
import {
  type AstNode,
  Linter,
  type LintWarning,
  lintLines,
  lintStages,
  type ParsedDockerfile,
  parseDockerfile,
  parseInstructions,
  type Word,
} from '../../../src/dockerfile/index.ts';

/** What a Dockerfile comes to: its tree, or what is wrong with it; each with a final line feed. */
export interface Printed {
  readonly ast?: string;
  readonly diagnostics?: string;
}

/** Parses, checks and lints a file and prints everything that came of it. */
export function printDockerfile(file: SourceFile): Printed {
  const parsed = parseDockerfile(file);
  if (!parsed.ok) return { diagnostics: `${renderFailure(parsed.error)}\n` };
  const linter = Linter.forFile(parsed.value);
  if (!linter.ok) return { diagnostics: `${linter.error}\n` };
  lintLines(parsed.value, linter.value);
  const instructions = parseInstructions(parsed.value, { linter: linter.value });
  if (instructions.ok) lintStages(instructions.value, linter.value);
  const diagnostics = [
    ...linter.value.warnings.map((warning) => renderFailure(failureOf(file, warning), 'warning')),
    ...(instructions.ok ? [] : [renderFailure(instructions.error)]),
  ];
  return {
    ...(instructions.ok ? { ast: printAst(parsed.value) } : {}),
    ...(diagnostics.length === 0 ? {} : { diagnostics: `${diagnostics.join('\n')}\n` }),
  };
}

const failureOf = (file: SourceFile, { rule, message, span }: LintWarning): Failure => ({
  code: rule,
  exit: 2,
  message,
  places: [{ file, span }],
});

function printAst({ file, ast, escapeToken, directives }: ParsedDockerfile): string {
  const lines = [`escape ${escapeToken}`];
  for (const { name, value, span } of Object.values(directives))
    lines.push(`${range(file, span)} # ${name}=${value}`);
  for (const node of ast.children) lines.push(...printNode(file, node, ''));
  return `${lines.join('\n')}\n`;
}

function printNode(file: SourceFile, node: AstNode, indent: string): string[] {
  const word = (kind: string, { value, span }: Word): string =>
    `${indent}  ${kind} ${range(file, span)} ${JSON.stringify(value)}`;
  return [
    `${indent}${range(file, node.span)} ${node.value}${node.json ? ' json' : ''} lines ${node.lines.join('-')}`,
    ...node.prevComment.map((comment) => `${indent}  comment ${JSON.stringify(comment)}`),
    ...node.flags.map((flag) => word('flag', flag)),
    ...node.args.map((arg) => word('arg', arg)),
    ...node.heredocs.map(
      ({ name, fd, expand, chomp, content, span }) =>
        `${indent}  heredoc ${range(file, span)} ${name} fd=${fd} expand=${expand} chomp=${chomp} ${JSON.stringify(content)}`,
    ),
    ...(node.child === undefined ? [] : printNode(file, node.child, `${indent}  `)),
  ];
}

/** First and last character as line:column. */
function range({ text }: SourceFile, { offset, length }: Span): string {
  const first = positionAt(text, offset);
  if (length === 0) return `${first.line}:${first.column}`;
  const last = positionAt(text, offset + length - 1);
  return `${first.line}:${first.column}-${last.line}:${last.column}`;
}
