import type { Digest } from '../base/index.ts';
import type { ExecutedStep, ResultRow } from '../ports/index.ts';

/** The clock is read twice around the storing of a result. */
const SLACK_MS = 50;

/** Which build and step made a result, by the digest of its record and its time. */
export class Makers {
  readonly #byRecord: ReadonlyMap<Digest, readonly ExecutedStep[]>;

  constructor(steps: readonly ExecutedStep[]) {
    this.#byRecord = Map.groupBy(steps, (step) => step.record);
  }

  /** The step that made it, as far as the history still knows it. */
  of(result: Pick<ResultRow, 'digest' | 'createdAt'>): ExecutedStep | undefined {
    return this.#byRecord
      .get(result.digest)
      ?.find(
        (step) =>
          step.startedAt - SLACK_MS <= result.createdAt &&
          result.createdAt <= step.completedAt + SLACK_MS,
      );
  }

  /** A step with this record, whenever it ran. */
  named(record: Digest): ExecutedStep | undefined {
    return this.#byRecord.get(record)?.at(-1);
  }
}
