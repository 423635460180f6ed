import type { ReportData } from './data.ts';
import { bytesText, secondsText } from './text.ts';

/** Something to do, and what it would have saved. */
export interface Advice {
  readonly text: string;
  readonly gain: string;
}

/** Causes that cost less than this in all are not worth a word (milliseconds). */
const WORTH_MS = 500;

/** Bytes wasted that are worth a word. */
const WORTH_BYTES = 1_000_000;

/** Most useful first. */
const SHOWN = 8;

/** What follows from the causes of misses and from the layers; gains are what it cost in the builds reported. */
export function adviceOf({ causes, layers, trend }: ReportData): readonly Advice[] {
  const builds = `${trend.length} ${trend.length === 1 ? 'build' : 'builds'}`;
  const fromCauses = causes
    .filter(({ costMs }) => costMs >= WORTH_MS)
    .flatMap(({ kind, name, builds: count, costMs }) => {
      const text = ADVICE[kind]?.(name);
      const times = count === 1 ? 'once' : `${count} times`;
      return text === undefined
        ? []
        : [{ text, gain: `It made steps run ${times}: ${secondsText(costMs)} in ${builds}.` }];
    });
  const fromLayers = layers
    .filter(({ wasted }) => wasted >= WORTH_BYTES)
    .map(({ madeBy, wasted }) => ({
      text: `A later layer writes again or removes files of "${madeBy}": do both in one step, or use COPY --chown or --chmod.`,
      gain: `${bytesText(wasted)} of the image.`,
    }));
  return [...fromCauses, ...fromLayers].slice(0, SHOWN);
}

const ADVICE: Readonly<Partial<Record<string, (name: string) => string>>> = {
  file: (name) =>
    `Copy ${name} later, or keep it out with the ignore file if the image does not need it.`,
  argument: (name) => `Declare ARG ${name} below the steps that do not use it.`,
  environment: (name) => `Set ENV ${name} below the steps that do not use it.`,
  evicted: () => 'Give the store more room, or pin what is expensive to make again.',
  base: (name) => `Name the base image of ${name} by digest, and move it on purpose.`,
};
