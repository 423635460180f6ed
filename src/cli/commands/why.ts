import { failure, type GoJson } from '../../base/index.ts';
import { type BuildCauses, buildCauses, type CauseGroup, findSteps } from '../../explain/index.ts';
import type { HistoryDb, StepRow } from '../../ports/index.ts';
import { causeJson, changeRows } from '../change-text.ts';
import { findBuild, stepJson, unknownBuild } from '../history-rows.ts';
import { fail, type Io, indentLines, printJson, table } from '../io.ts';
import { formatSeconds, neutralise } from '../progress/text.ts';
import { openStore } from '../store.ts';

type Build = ReturnType<HistoryDb['builds']>[number];

/**
 * `varve why [BUILD] [STEP]`: the root causes of what a build ran, or all that is known of one step. A single argument is
 * a build when one's id begins so, else a step of the last build.
 */
export async function whyCommand(
  io: Io,
  words: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<number> {
  const store = openStore(io);
  if (!store.ok) return fail(io, store.error);
  using opened = store.value;
  const { history } = opened.db;
  const named = words[0] === undefined ? undefined : findBuild(history, words[0]);
  if (words.length > 1 && named === undefined) return fail(io, unknownBuild(words[0]));
  const build = named ?? history.builds(1)[0];
  if (build === undefined) return fail(io, unknownBuild(undefined));
  const steps = history.steps(build.id);
  const wanted = named === undefined ? words[0] : words[1];
  const json = options['json'] === true;
  if (wanted === undefined) return await Promise.resolve(explainBuild(io, build, steps, json));
  const found = findSteps(steps, wanted);
  if (found.length === 0)
    return fail(
      io,
      failure('CL004', 2, `build ${build.id} has no step "${wanted}"`, {
        help: `name a part of its instruction or its number; see varve history show ${build.id}`,
      }),
    );
  for (const step of found) {
    if (json) printJson(io, stepJson(step));
    else io.out(stepText(step, steps));
  }
  return 0;
}

function explainBuild(io: Io, build: Build, steps: readonly StepRow[], json: boolean): number {
  const causes = buildCauses(steps);
  if (json) printJson(io, buildJson(build, causes));
  else io.out(buildText(build, causes));
  return 0;
}

function buildText(build: Build, { groups, executed, cached }: BuildCauses): string {
  const head = `${build.name}: ${count(executed.length, 'step')} ran, ${cached.length} cached (build ${build.id})\n`;
  if (executed.length === 0) return `${head}Nothing it depends on has changed.\n`;
  return [head, ...groups.map(groupText)].join('\n');
}

function groupText({ cause, reason, steps, costMs }: CauseGroup): string {
  const changes = cause.changes.length === 0 ? '' : indentLines('    ', table(changeRows(cause)));
  const ran = table(
    steps.map(({ name, tookMs = 0 }) => [formatSeconds(tookMs), neutralise(oneLine(name))]),
  );
  return `${neutralise(reason)}\n${changes}  so ${steps.length === 1 ? 'this step' : `these ${steps.length} steps`} ran (${formatSeconds(costMs)}):\n${indentLines('    ', ran)}`;
}

/** All that is known of one step: what was decided, the way from the cause to it, who was asked. */
function stepText(step: StepRow, steps: readonly StepRow[]): string {
  const { decision } = step;
  if (decision === undefined) return '';
  const { cause } = decision;
  const root = steps.find(({ name }) => name === cause?.step)?.decision?.cause ?? cause;
  const took = (step.completedAt ?? 0) - (step.startedAt ?? step.completedAt ?? 0);
  const state =
    step.state === 'cached' ? `cached (${decision.source})` : `ran, ${formatSeconds(took)}`;
  const lines = [oneLine(step.name), `  ${state}: ${decision.reason}`];
  if (cause !== undefined && cause.step !== step.name)
    lines.push(
      `  it began with: ${oneLine(cause.step)}`,
      ...cause.via.map((name) => `     which led to: ${oneLine(name)}`),
    );
  if (root !== undefined && root.changes.length > 0)
    lines.push(
      ...table(changeRows(root))
        .trimEnd()
        .split('\n')
        .map((line) => `    ${line}`),
    );
  for (const { source, answer } of decision.asked ?? []) lines.push(`  asked ${source}: ${answer}`);
  lines.push(`  key: ${decision.key} (by ${decision.by})`);
  if (decision.nearest !== undefined)
    lines.push(
      `  nearest earlier execution: ${decision.nearest.key}; differs: ${decision.nearest.differs}`,
    );
  return `${lines.map(neutralise).join('\n')}\n`;
}

function buildJson(build: Build, { groups, executed, cached }: BuildCauses): GoJson {
  return {
    v: 1,
    build: build.id,
    name: build.name,
    executed: executed.length,
    cached: cached.length,
    causes: groups.map(({ cause, reason, steps, costMs }) => ({
      reason,
      cause: causeJson(cause),
      steps: steps.map(({ name, tookMs }) => ({ name, tookMs })),
      costMs,
    })),
  };
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ');
