import type { Change } from '../events/index.ts';

/** Files that are named in a sentence. */
const NAMED = 3;

/** A value longer than this is cut in a sentence; the decision has it whole. */
const MAX_VALUE = 60;

/** What changed, in one sentence; undefined when nothing is known of it. `from` is the step the files come from. */
export function sentenceOf(changes: readonly Change[], from?: string): string | undefined {
  const [first] = changes;
  if (first === undefined) return undefined;
  const alike = changes.filter(({ kind }) => kind === first.kind);
  const rest = changes.length - alike.length;
  const more = rest === 0 ? '' : `, and ${rest} more ${rest === 1 ? 'difference' : 'differences'}`;
  return `${phrase(first, alike, from)}${more}`;
}

function phrase(first: Change, alike: readonly Change[], from: string | undefined): string {
  switch (first.kind) {
    case 'file':
      return filesPhrase(alike, from);
    case 'ignore rule':
      return first.after === undefined
        ? `the ignore file has lost the rule ${first.name}, so more files are used`
        : `the ignore file has the new rule ${first.name}`;
    case 'argument':
      return `${named('build argument', alike)} changed${values(first, alike)}`;
    case 'environment':
      return `${named('environment variable', alike)} changed${values(first, alike)}`;
    case 'command':
      return 'its command changed';
    case 'option':
    case 'platform':
      return `its ${first.name} changed${values(first, alike)}`;
    case 'mount':
      return `its mount at ${first.name} changed${values(first, alike)}`;
    case 'secret':
      return `the secret or agent it is given at ${first.name} changed${values(first, alike)}`;
    case 'base':
      return `the base image is another one${values(first, alike)}`;
    case 'source':
      return `the source changed${values(first, alike)}`;
    case 'instruction':
      return instructionPhrase(first);
    case 'order':
      return `it came after "${clip(first.before ?? '')}" before, and comes after "${clip(first.after ?? '')}" now`;
    case 'evicted':
      return `it was built before, but its layers are no longer in the store${first.after === undefined ? ' (evicted or lost)' : `: evicted ${first.after}`}`;
    case 'no cache':
      return 'caching is off for this step';
    case 'first time':
      return 'no earlier build had a step with this text';
    case 'unknown':
      if (from !== undefined) return `"${from}" above it is another one than before`;
      return 'the same step with the same inputs was built before, but its record is gone';
  }
}

/** A step as the place files come from. */
export function placeOf(step: string): string {
  return step === CONTEXT_STEP ? 'the build context' : `"${step}"`;
}

/** The step that reads the main context. */
const CONTEXT_STEP = '[internal] load build context';

function filesPhrase(files: readonly Change[], from: string | undefined): string {
  if (files.every(({ before, after }) => before === undefined && after === undefined))
    return `the files it uses of ${placeOf(from ?? '')} changed`;
  const shown = files.slice(0, NAMED).map((file) => {
    if (file.before === undefined) return `${file.name} is new`;
    return file.after === undefined ? `${file.name} is gone` : `${file.name} changed`;
  });
  const more = files.length - shown.length;
  return `${shown.join(', ')}${more === 0 ? '' : `, and ${more} more`}${from === undefined ? '' : ` in ${placeOf(from)}`}`;
}

const named = (what: string, changes: readonly Change[]): string =>
  changes.length === 1
    ? `${what} ${changes[0]?.name ?? ''}`
    : `${what}s ${changes.map(({ name }) => name).join(', ')}`;

/** The old and the new value, where it is one thing that changed. */
function values({ before, after }: Change, alike: readonly Change[]): string {
  if (alike.length !== 1) return '';
  if (before === undefined && after === undefined) return '';
  const say = (value: string | undefined): string =>
    value === undefined ? 'not set' : clip(value);
  return `: ${say(before)} before, ${say(after)} now`;
}

function instructionPhrase({ before, after }: Change): string {
  if (before === undefined) return 'the step is new here';
  return after === undefined ? 'a step was removed' : `its text changed: it was "${clip(before)}"`;
}

function clip(value: string): string {
  const line = value.replaceAll(/\s+/g, ' ');
  return line.length > MAX_VALUE ? `${line.slice(0, MAX_VALUE - 1)}…` : line;
}
