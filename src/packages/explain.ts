import { type Failure, failure } from '../base/index.ts';
import { relationText } from './relation.ts';
import type { Candidate, Need } from './universe.ts';

/** A chosen package and why it was chosen. */
export interface Chosen {
  readonly candidate: Candidate;
  /** Asked for, not pulled in by another. */
  readonly manual: boolean;
  /** `asked for`, `needed by libc6 (Depends: libgcc-s1)`. */
  readonly reason: string;
  /** The package that needed this one. */
  readonly parent: string | undefined;
}

/** Why a search could not go on at one place; the deepest is what people are told. */
export interface DeadEnd {
  /** From what was asked for down to the package whose need cannot be met. */
  readonly chain: readonly Chosen[];
  readonly need: Need | undefined;
  /** One line for each way that was tried. */
  readonly tried: readonly string[];
}

/** The failure for a set that cannot be had: the chain of needs from what was asked for, and what was tried at its end. */
export function explainDeadEnd(end: DeadEnd, gaveUp: boolean): Failure {
  const asked = end.chain[0]?.candidate.record;
  const owner = end.chain.at(-1)?.candidate.record;
  const need = end.need === undefined ? '' : `${end.need.field}: ${relationText(end.need.group)}`;
  const details = end.chain.map((step, i) => {
    const { name, version } = step.candidate.record;
    return `${'  '.repeat(i)}${name} ${version} is ${step.reason}`;
  });
  const indent = '  '.repeat(end.chain.length);
  details.push(`${indent}needs ${need}`);
  details.push(...end.tried.map((line) => `${indent}  ${line}`));
  const what = asked === undefined ? 'the packages' : asked.name;
  return failure(
    'PK030',
    2,
    gaveUp
      ? `no way to install ${what} was found within the limit of the search`
      : `${what} cannot be installed: ${owner?.name ?? ''} needs ${end.need === undefined ? '' : relationText(end.need.group)}`,
    {
      details,
      help: 'ask for other packages or versions, or add a source that has what is missing',
    },
  );
}
