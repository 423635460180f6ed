/** The parts of a step's display name, its counter left out: `[stage-1  2/13] RUN make` is `stage-1` and `RUN make`. */
export interface StepName {
  /** Empty where the name has none but a counter. */
  readonly label: string;
  readonly text: string;
}

/** Takes a display name (BuildKit's form) apart; the counter changes when a step is added, and is no part of the result. */
export function stepNameParts(name: string): StepName {
  const head = /^\[([^\]]*)\]\s*/.exec(name);
  const label = (head?.[1] ?? '').replace(COUNTER, '').trim();
  return { label, text: name.slice(head?.[0].length ?? 0) };
}

/** At the end of a label. */
const COUNTER = /\s*\d+\/\d+$/;

/** The name again, without a counter. */
export const joinStepName = ({ label, text }: StepName): string =>
  label === '' ? text : `[${label}] ${text}`;
