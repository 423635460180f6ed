import type { Decision, RootCause } from '../events/index.ts';
import type { StepRow } from '../ports/index.ts';

/** One step of a build as it is explained. */
export interface ExplainedStep {
  readonly name: string;
  readonly state: StepRow['state'];
  /** Milliseconds it took; undefined for a cached step. */
  readonly tookMs?: number;
  readonly decision?: Decision;
}

/** A difference and the steps that ran because of it, in their order. */
export interface CauseGroup {
  readonly cause: RootCause;
  /** One sentence: the reason of the step where the difference began. */
  readonly reason: string;
  readonly steps: readonly ExplainedStep[];
  /** Milliseconds of work of these steps. */
  readonly costMs: number;
}

/** Why a build did what it did. */
export interface BuildCauses {
  /** Largest cost first. */
  readonly groups: readonly CauseGroup[];
  readonly executed: readonly ExplainedStep[];
  readonly cached: readonly ExplainedStep[];
}

/** Groups the steps of a build that ran by where the difference began. The builder's own steps are left out. */
export function buildCauses(rows: readonly StepRow[]): BuildCauses {
  const steps = rows.filter(({ decision }) => decision !== undefined).map(explained);
  const executed = steps.filter(({ state }) => state !== 'cached');
  const groups = new Map<
    string,
    { readonly root: ExplainedStep; readonly steps: ExplainedStep[] }
  >();
  for (const step of executed) {
    const root = executed.find(({ name }) => name === step.decision?.cause?.step) ?? step;
    const key = identityOf(root);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { root, steps: [step] });
    else group.steps.push(step);
  }
  return {
    groups: [...groups.values()]
      .flatMap(({ root, steps: members }) => {
        const { decision } = root;
        if (decision?.cause === undefined) return [];
        const costMs = members.reduce((sum, { tookMs = 0 }) => sum + tookMs, 0);
        return [{ cause: decision.cause, reason: decision.reason, steps: members, costMs }];
      })
      .sort((a, b) => b.costMs - a.costMs),
    executed,
    cached: steps.filter(({ state }) => state === 'cached'),
  };
}

/** One changed argument makes several steps differ by themselves, as lost layers and a flag do: that is one cause. */
function identityOf({ name, decision }: ExplainedStep): string {
  const cause = decision?.cause;
  switch (cause?.kind) {
    case 'argument':
    case 'environment':
    case 'base':
      return JSON.stringify(cause.changes);
    case 'evicted':
    case 'no cache':
    case 'first time':
      return cause.kind;
    default:
      return name;
  }
}

function explained({ name, state, startedAt, completedAt, decision }: StepRow): ExplainedStep {
  const took =
    state === 'cached' || startedAt === undefined || completedAt === undefined
      ? undefined
      : completedAt - startedAt;
  return {
    name,
    state,
    ...(took === undefined ? {} : { tookMs: took }),
    ...(decision === undefined ? {} : { decision }),
  };
}

/** Steps that a person means: by number (`4/5` or `4`), or by a part of the name. */
export function findSteps(rows: readonly StepRow[], wanted: string): readonly StepRow[] {
  const steps = rows.filter(({ decision }) => decision !== undefined);
  const number = /^(\d+)(?:\/(\d+))?$/.exec(wanted);
  if (number !== null) {
    const [, at = '', of] = number;
    const counter = new RegExp(`^\\[[^\\]]*\\b${at}/${of ?? '\\d+'}\\]`);
    return steps.filter(({ name }) => counter.test(name));
  }
  const text = wanted.toLowerCase();
  return steps.filter(({ name }) => name.toLowerCase().includes(text));
}
