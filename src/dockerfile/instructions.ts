import type { Result } from '../base/index.ts';
import type { DockerfileFailure, ParsedDockerfile } from './ast.ts';
import type { Command, Instructions } from './command.ts';
import type { Linter } from './linter.ts';

export function parseInstructions(
  _parsed: ParsedDockerfile,
  _options?: { readonly linter?: Linter },
): Result<Instructions, DockerfileFailure> {
  throw new Error('not written yet');
}
/** Parses the text of an ONBUILD trigger with the default escape character. */
export function parseTrigger(
  _expression: string,
  _path: string,
): Result<Command, DockerfileFailure> {
  throw new Error('not written yet');
}
