import { err, ok, type Result, type SourceFile } from '../base/index.ts';
import type { AstNode, DockerfileFailure, ParsedDockerfile } from './ast.ts';
import type { ArgCommand, Command, Instructions, Stage } from './command.ts';
import { allFailures, dockerfileFailure, type Problem } from './fail.ts';
import { Linter } from './linter.ts';
import { parseDockerfile } from './parse.ts';
import { parseInstruction } from './parse-instruction.ts';

const NO_STAGE = 'DF006';

/**
 * Checks the instructions of a file and sorts them into stages (BuildKit `instructions.Parse`). With a linter also
 * reports what can be seen in one instruction alone, up to the first that is wrong. Other wrong instructions are listed
 * in `also` of the failure.
 */
export function parseInstructions(
  parsed: ParsedDockerfile,
  options: { readonly linter?: Linter } = {},
): Result<Instructions, DockerfileFailure> {
  const silent = new Linter({ skipAll: true });
  const stages: OpenStage[] = [];
  const metaArgs: ArgCommand[] = [];
  const failures: DockerfileFailure[] = [];
  for (const node of parsed.ast.children) {
    const linter = failures.length === 0 ? (options.linter ?? silent) : silent;
    const instruction = parseInstruction(node, linter);
    const problem = instruction.ok
      ? place(instruction.value, stages, metaArgs)
      : withLine(instruction.error, node);
    // Where a FROM is wrong, or was missed once, what follows has no stage either.
    const follows = problem?.code === NO_STAGE && failures.length > 0;
    if (problem !== undefined && !follows) failures.push(failAt(parsed.file, node, problem));
  }
  const [failed, ...others] = failures;
  return failed === undefined ? ok({ stages, metaArgs }) : err(allFailures([failed, ...others]));
}

type OpenStage = Stage & { readonly commands: Command[] };

/** Puts an instruction where it belongs. */
function place(
  instruction: Command | Stage,
  stages: OpenStage[],
  metaArgs: ArgCommand[],
): Problem | undefined {
  const stage = stages.at(-1);
  if (instruction.kind === 'from') stages.push({ ...instruction, commands: [] });
  else if (stage !== undefined) stage.commands.push(instruction);
  else if (instruction.kind === 'arg') metaArgs.push(instruction);
  else {
    const message = 'no build stage in current context';
    const help = 'start the first stage with FROM';
    return { message, span: instruction.keyword, code: NO_STAGE, help };
  }
  return undefined;
}

const withLine = (problem: Problem, node: AstNode): Problem => ({
  ...problem,
  message: `dockerfile parse error on line ${node.lines[0]}: ${problem.message}`,
});

/**
 * Parses the text of an ONBUILD trigger with the default escape character. Spans point into the trigger's own text, named
 * `path`; `at` (the FROM that fires it) replaces place and lines of the instruction as a whole, as BuildKit does.
 */
export function parseTrigger(
  expression: string,
  path: string,
  at?: Pick<Command, 'lines' | 'span' | 'keyword'>,
): Result<Command, DockerfileFailure> {
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
  if (instruction.value.kind !== 'from') {
    const { lines, span, keyword } = at ?? instruction.value;
    return ok({ ...instruction.value, lines, span, keyword });
  }
  const message = '*instructions.Stage is not a command type';
  return err(failAt(file, node, { message, span: node.keyword, code: 'DF007' }));
}

function failAt(file: SourceFile, node: AstNode, problem: Problem): DockerfileFailure {
  return dockerfileFailure(file, problem, node.lines);
}
