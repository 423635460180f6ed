import type { Result, SourceFile } from '../base/index.ts';
import type { DockerfileFailure, ParsedDockerfile } from './ast.ts';

export function parseDockerfile(_file: SourceFile): Result<ParsedDockerfile, DockerfileFailure> {
  throw new Error('not written yet');
}
