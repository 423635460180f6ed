import { failure, type GoJson } from '../base/index.ts';
import type { HistoryDb, StepRow } from '../ports/index.ts';
import { causeJson } from './change-text.ts';

type Build = ReturnType<HistoryDb['builds']>[number];

/** More builds than this are not searched for an id's beginning. */
const SEARCHED = 100_000;

/** A build by its id or the beginning of it. */
export function findBuild(history: HistoryDb, id: string): Build | undefined {
  const found = history.builds(SEARCHED).filter((b) => b.id.startsWith(id));
  return found.find((b) => b.id === id) ?? (found.length === 1 ? found[0] : undefined);
}

/** The failure of naming a build that is not in the history. */
export function unknownBuild(id: string | undefined): ReturnType<typeof failure> {
  return id === undefined
    ? failure('CL004', 2, 'no build was made here yet')
    : failure('CL004', 2, `no build "${id}" in the history`, { help: 'see varve history ls' });
}

/** A step of the history as JSON. */
export function stepJson(step: StepRow): GoJson {
  return {
    vertex: step.vertex,
    name: step.name,
    state: step.state,
    startedAt: step.startedAt,
    completedAt: step.completedAt,
    error: step.error,
    log: step.log,
    decision:
      step.decision === undefined
        ? undefined
        : {
            outcome: step.decision.outcome,
            by: step.decision.by,
            key: step.decision.key,
            source: step.decision.source,
            reason: step.decision.reason,
            nearest: step.decision.nearest,
            asked: step.decision.asked?.map(({ source, answer }) => ({ source, answer })),
            cause: step.decision.cause === undefined ? undefined : causeJson(step.decision.cause),
          },
  };
}
