import { failure, type SourceFile, type Span } from '../base/index.ts';
import type { DockerfileFailure, LineRange } from './ast.ts';

/** What a grammar reports: BuildKit's text and the characters it is about. */
export interface Problem {
  readonly message: string;
  readonly span: Span;
  readonly code?: string;
  readonly help?: string;
}

/** One range per line, the way BuildKit lists them; an end before the start means the start line alone. */
export function eachLine(first: number, last: number): LineRange[] {
  const ranges: LineRange[] = [];
  for (let line = first; line <= Math.max(first, last); line++) ranges.push([line, line]);
  return ranges;
}

/** A failure at a place of the file. */
export function dockerfileFailure(
  file: SourceFile,
  problem: Problem,
  lines: LineRange,
): DockerfileFailure {
  const place = { file, span: problem.span };
  const extra = problem.help === undefined ? {} : { help: problem.help };
  return {
    ...failure(problem.code ?? 'DF001', 2, problem.message, { places: [place], ...extra }),
    locations: [eachLine(...lines)],
  };
}

/** More failures than this are not worth reading at once. */
const MAX_REPORTED = 20;

/** The first of several failures, with the others behind it; BuildKit stops at the first. */
export function allFailures(
  failures: readonly [DockerfileFailure, ...DockerfileFailure[]],
): DockerfileFailure {
  const [first, ...others] = failures;
  return others.length === 0 ? first : { ...first, also: others.slice(0, MAX_REPORTED - 1) };
}
