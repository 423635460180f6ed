import { err, ok, type Result } from '../base/index.ts';
import type { AstNode } from './ast.ts';
import type { Command, Stage } from './command.ts';
import type { Problem } from './fail.ts';
import { lintDescription, lintFrom, lintMaintainer } from './lint-instruction.ts';
import type { Linter } from './linter.ts';
import { parseArg, parseEnv, parseLabel } from './parse-assignments.ts';
import { parseAdd, parseCopy } from './parse-copy.ts';
import { parseFrom } from './parse-from.ts';
import { parseHealthcheck } from './parse-healthcheck.ts';
import {
  parseExpose,
  parseMaintainer,
  parseOnbuild,
  parseStopSignal,
  parseUser,
  parseVolume,
  parseWorkdir,
} from './parse-metadata.ts';
import { parseCmd, parseEntrypoint, parseRun, parseShell } from './parse-shell-form.ts';
import { withSuggestion } from './suggest.ts';

type Parser = (node: AstNode) => Result<Command | Stage, Problem>;

const PARSERS: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ['add', parseAdd],
  ['arg', parseArg],
  ['cmd', parseCmd],
  ['copy', parseCopy],
  ['entrypoint', parseEntrypoint],
  ['env', parseEnv],
  ['expose', parseExpose],
  ['from', parseFrom],
  ['healthcheck', parseHealthcheck],
  ['label', parseLabel],
  ['maintainer', parseMaintainer],
  ['onbuild', parseOnbuild],
  ['run', parseRun],
  ['shell', parseShell],
  ['stopsignal', parseStopSignal],
  ['user', parseUser],
  ['volume', parseVolume],
  ['workdir', parseWorkdir],
]);

/** Checks one instruction (BuildKit `instructions.ParseInstructionWithLinter`). */
export function parseInstruction(node: AstNode, linter: Linter): Result<Command | Stage, Problem> {
  const parser = PARSERS.get(node.value.toLowerCase());
  if (parser === undefined) {
    const message = `unknown instruction: ${node.value}`;
    const known = [...PARSERS.keys()].map((name) => name.toUpperCase());
    return err({
      message: withSuggestion(message, node.value, known, { caseSensitive: false }),
      span: node.keyword,
      code: 'DF010',
    });
  }
  const here = linter.withComments(node.prevComment);
  lintMaintainer(node, here);
  lintFrom(node, here);
  const parsed = parser(node);
  if (parsed.ok) lintDescription(parsed.value, here);
  return parsed.ok ? ok(parsed.value) : parsed;
}
