import { expandWord, unmatchedVariables } from '../dockerfile/index.ts';
import { checkVariables } from './checks.ts';
import type { Lowering, PlannedCommand, StageState } from './stage-state.ts';
import { stop } from './stop.ts';

/** One instruction being lowered. */
export class Dispatch {
  readonly lowering: Lowering;
  readonly stage: StageState;
  readonly planned: PlannedCommand;

  constructor(lowering: Lowering, stage: StageState, planned: PlannedCommand) {
    // A comment `# check=` above the instruction counts for what is reported about it.
    const linter = lowering.linter.withComments(planned.command.comments);
    this.lowering = linter === lowering.linter ? lowering : { ...lowering, linter };
    this.stage = stage;
    this.planned = planned;
  }

  /** Replaces variables by what was set before this instruction. */
  readonly expand = (word: string): string => {
    const { env } = this.stage.state;
    const found = expandWord(word, env, { escapeToken: this.lowering.escapeToken });
    this.#report(
      found.ok
        ? found.value.unmatched
        : unmatchedVariables(word, env, { escapeToken: this.lowering.escapeToken }),
    );
    return found.ok ? found.value.value : stop(found.error, 'DF021');
  };

  /** The same for a here-document, where quotes are text. */
  expandDocument(text: string): string {
    const found = expandWord(text, this.stage.state.env, { skipProcessQuotes: true });
    if (!found.ok) return stop(found.error, 'DF021');
    this.#report(found.value.unmatched);
    return found.value.value;
  }

  #report(unmatched: ReadonlySet<string>): void {
    if (unmatched.size === 0) return;
    const { buildArgs, state } = this.stage;
    const { budget } = this.lowering;
    const about = { at: this.planned.at, declared: buildArgs, env: state.env, budget };
    checkVariables(this.lowering.linter, unmatched, about);
  }
}
