import { err, ok, type Result, type SourceFile } from '../base/index.ts';
import type { AstNode, DockerfileFailure, ParsedDockerfile } from './ast.ts';
import type { ArgCommand, Command, Instructions, Stage } from './command.ts';
import { dockerfileFailure, type Problem } from './fail.ts';
import { Linter } from './linter.ts';
import { parseDockerfile } from './parse.ts';
import { parseInstruction } from './parse-instruction.ts';

/**
 * Checks the instructions of a file and sorts them into stages (BuildKit `instructions.Parse`). With a linter also
 * reports what can be seen in one instruction alone, even when a later one is wrong.
 */
export function parseInstructions(
  parsed: ParsedDockerfile,
  options: { readonly linter?: Linter } = {},
): Result<Instructions, DockerfileFailure> {
  const linter = options.linter ?? new Linter({ skipAll: true });
  const stages: (Stage & { readonly commands: Command[] })[] = [];
  const metaArgs: ArgCommand[] = [];
  for (const node of parsed.ast.children) {
    const instruction = parseInstruction(node, linter);
    if (!instruction.ok) {
      const message = `dockerfile parse error on line ${node.lines[0]}: ${instruction.error.message}`;
      return err(failAt(parsed.file, node, { ...instruction.error, message }));
    }
    const { value } = instruction;
    const stage = stages.at(-1);
    if (value.kind === 'from') stages.push({ ...value, commands: [] });
    else if (stage !== undefined) stage.commands.push(value);
    else if (value.kind === 'arg') metaArgs.push(value);
    else {
      const message = 'no build stage in current context';
      const help = 'start the first stage with FROM';
      return err(failAt(parsed.file, node, { message, span: node.keyword, code: 'DF006', help }));
    }
  }
  return ok({ stages, metaArgs });
}

/** Parses the text of an ONBUILD trigger with the default escape character. */
export function parseTrigger(expression: string, path: string): Result<Command, DockerfileFailure> {
  const parsed = parseDockerfile({ path, text: expression });
  if (!parsed.ok) return parsed;
  const { file, ast } = parsed.value;
  const [node, another] = ast.children;
  if (node === undefined) throw new Error('a parsed file holds an instruction');
  if (another !== undefined) {
    const message = 'onbuild trigger should be a single expression';
    return err(failAt(file, another, { message, span: another.span, code: 'DF007' }));
  }
  const instruction = parseInstruction(node, new Linter({ skipAll: true }));
  if (!instruction.ok) return err(failAt(file, node, instruction.error));
  if (instruction.value.kind !== 'from') return ok(instruction.value);
  const message = '*instructions.Stage is not a command type';
  return err(failAt(file, node, { message, span: node.keyword, code: 'DF007' }));
}

function failAt(file: SourceFile, node: AstNode, problem: Problem): DockerfileFailure {
  return dockerfileFailure(file, problem, node.lines);
}
