import { withoutCredentials } from '../base/index.ts';
import { joinStepName, stepNameParts } from '../events/index.ts';
import type { Vertex } from '../llb/index.ts';
import { nameOf } from './progress.ts';

/** What the solver is told of the texts its ops were made from. */
export interface StepTexts {
  /** The context's address: what tells builds of one project from those of others. */
  readonly project: string;
  /** What the author wrote for a step, before anything in it was expanded; undefined for the builder's own steps. */
  textOf(vertex: Vertex): string | undefined;
  /** Whether a variable of a step's environment is a build argument. */
  isArgument(name: string): boolean;
}

/** For graphs that were made from no text. */
export const NO_TEXTS: StepTexts = {
  project: '',
  textOf: () => undefined,
  isArgument: () => false,
};

/**
 * The name a step keeps over builds: BuildKit's display name without its counter, which changes when a step is added, and
 * with the author's own words, which stay when an argument in them changes: `[stage-1  2/13] RUN make` becomes
 * `[stage-1] RUN make`.
 */
export function stepIdentity(vertex: Vertex, texts: StepTexts = NO_TEXTS): string {
  const { label, text } = stepNameParts(nameOf(vertex));
  return joinStepName({
    label: label.replace(PLATFORM, '').trim(),
    text: writtenText(text, texts.textOf(vertex)),
  });
}

/** At the beginning of a label: a step for another platform differs by its platform. */
const PLATFORM = /^[a-z]+\/[a-z0-9]+(?:\/v\d+)?(?=\s|$)/;

/** The author's text, where it is the step's own: what a base image's triggers do is named by its FROM. */
function writtenText(shown: string, written: string | undefined): string {
  const link = shown.startsWith(LINKED) ? LINKED : '';
  const same = written !== undefined && firstWord(written) === firstWord(shown.slice(link.length));
  return same ? `${link}${withoutCredentials(written)}` : shown;
}

/** What the name of the op begins with that puts a linked copy on its base. */
const LINKED = 'LINK ';

const firstWord = (text: string): string => /^\S*/.exec(text)?.[0].toUpperCase() ?? '';

/** The part of an identity that the author wrote. */
export function textOfIdentity(identity: string): string {
  return stepNameParts(identity).text;
}
