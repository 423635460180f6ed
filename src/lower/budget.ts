import { stop } from './stop.ts';

/** Characters that the environments of steps, histories and inherited configurations of one Dockerfile may take. */
const MAX_TEXT = 128 << 20;
/** Names that unknown variables are compared with before no more are suggested. */
const MAX_COMPARED = 10_000_000;

/**
 * What is left of the room for texts that many instructions multiply with one another: each RUN has all variables in its
 * environment and all arguments in its history, each stage all of its base.
 */
export class Budget {
  #text = MAX_TEXT;
  #compared = MAX_COMPARED;

  /** Takes room for texts, or fails the lowering. */
  takeText(characters: number): void {
    this.#text -= characters;
    if (this.#text < 0)
      stop(
        `environments, history and inherited settings of all instructions have more than ${MAX_TEXT} characters`,
        'DF037',
      );
  }

  /** Whether a name may be compared with so many others, for a suggestion. */
  mayCompare(names: number): boolean {
    this.#compared -= names;
    return this.#compared >= 0;
  }
}
