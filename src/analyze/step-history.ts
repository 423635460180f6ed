import { isRecord, parseJson } from '../base/index.ts';
import type { HistoryDb, StepRow } from '../ports/index.ts';

/** Builds that are looked at; older ones say little of today's Dockerfile. */
const LOOKED_AT = 200;

/** The steps of the builds of one project, oldest build first. */
export type ProjectHistory = readonly (readonly StepRow[])[];

/** Reads what is known of the builds of a project (the context's address, as builds record it). */
export function projectHistory(history: HistoryDb, project: string): ProjectHistory {
  return history
    .builds(LOOKED_AT)
    .filter(({ request }) => projectIn(request) === project)
    .map(({ id }) => history.steps(id))
    .reverse();
}

function projectIn(request: string): string | undefined {
  const parsed = parseJson(request);
  const project = parsed.ok && isRecord(parsed.value) ? parsed.value['project'] : undefined;
  return typeof project === 'string' ? project : undefined;
}

/** The instruction in the name of a step: `[build 2/5] RUN make` is `RUN make`. */
export const instructionIn = (name: string): string => oneLine(name.replace(/^\[[^\]]*\]\s*/, ''));

/** White space as one blank, as step names and instructions are compared. */
export const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** Whether a step was executed, and not only looked up. */
export const wasExecuted = ({ state, decision }: StepRow): boolean =>
  state === 'done' && decision !== undefined && decision.outcome !== 'hit';

/** Milliseconds that an executed step took. */
export const tookMs = ({ startedAt, completedAt }: StepRow): number =>
  startedAt === undefined || completedAt === undefined ? 0 : completedAt - startedAt;
