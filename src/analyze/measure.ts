import type { Finding, Model } from '../advice/index.ts';
import type { Digest } from '../base/index.ts';
import type { Change } from '../events/index.ts';
import type { StepRow } from '../ports/index.ts';
import {
  instructionIn,
  oneLine,
  type ProjectHistory,
  tookMs,
  wasExecuted,
} from './step-history.ts';

/** What a finding has cost in the builds that are known. */
export interface MeasuredCost {
  /** Builds in which one of the instructions was looked up or executed. */
  readonly builds: number;
  /** Executions that the finding is to blame for. */
  readonly misses: number;
  readonly seconds: number;
  /** Bytes of the layers that these executions wrote, as far as they are still known. */
  readonly bytes?: number;
}

/** What a measurement is made from. */
export interface MeasureWorld {
  readonly history: ProjectHistory;
  /** Size of the layer that an execution wrote, by the key of its decision. */
  readonly bytesOf: (key: Digest) => number | undefined;
}

/** What a finding has cost; undefined where no build of these instructions is known, or nothing can be measured. */
export function measureFinding(
  finding: Finding,
  model: Model,
  { history, bytesOf }: MeasureWorld,
): MeasuredCost | undefined {
  if (finding.blame.kind === 'none') return undefined;
  const wanted = new Set(finding.affected.map((span) => textAt(model, span.offset)));
  let [builds, misses, ms] = [0, 0, 0];
  let bytes: number | undefined;
  for (const steps of history) {
    const own = steps.filter(({ name }) => wanted.has(instructionIn(name)));
    if (own.length === 0) continue;
    builds++;
    for (const step of own) {
      if (!wasExecuted(step) || !isToBlame(finding, step, { steps, model })) continue;
      misses++;
      ms += tookMs(step);
      const size = step.decision === undefined ? undefined : bytesOf(step.decision.key);
      if (size !== undefined) bytes = (bytes ?? 0) + size;
    }
  }
  if (builds === 0) return undefined;
  return {
    ...{ builds, misses, seconds: Math.round(ms) / 1000 },
    ...(bytes === undefined ? {} : { bytes }),
  };
}

/** The instruction at an offset as its step is named. */
function textAt({ instructions }: Model, offset: number): string {
  const commands = instructions.stages.flatMap(({ commands: own }) => own);
  const command = commands.find(
    ({ span }) => span.offset <= offset && offset < span.offset + span.length,
  );
  return oneLine(command?.code ?? '');
}

function isToBlame(
  { blame }: Finding,
  step: StepRow,
  world: { readonly steps: readonly StepRow[]; readonly model: Model },
): boolean {
  if (blame.kind === 'every') return true;
  const cause = step.decision?.cause;
  if (cause === undefined) return false;
  const root = world.steps.find(({ name }) => name === cause.step) ?? step;
  const changes = cause.changes.length > 0 ? cause.changes : (root.decision?.cause?.changes ?? []);
  switch (blame.kind) {
    case 'cause':
      return (
        instructionIn(cause.step) === textAt(world.model, blame.span.offset) &&
        filesOf(changes).length > 0 &&
        !filesOf(changes).some((path) => matchesName(path, blame.except))
      );
    case 'variable':
      return changes.some(({ kind, name }) => isVariable(kind) && name === blame.name);
    case 'files': {
      const files = filesOf(changes);
      return files.length > 0 && files.every((path) => blame.paths.includes(path));
    }
    case 'none':
      return false;
  }
}

const isVariable = (kind: Change['kind']): boolean => kind === 'argument' || kind === 'environment';

/** Paths of changed files; directories, whose entries follow, are left out. */
const filesOf = (changes: readonly Change[]): readonly string[] =>
  changes.flatMap(({ kind, name }) => (kind === 'file' && name !== '.' ? [name] : []));

function matchesName(path: string, patterns: readonly string[]): boolean {
  const name = path.replace(/^.*\//, '');
  return patterns.some((pattern) =>
    new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(name),
  );
}

/** Variables whose changes have made steps run. */
export function changingVariableNames(history: ProjectHistory): ReadonlySet<string> {
  return new Set(
    history
      .flat()
      .flatMap((step) =>
        (wasExecuted(step) ? (step.decision?.cause?.changes ?? []) : []).flatMap(
          ({ kind, name, before }) => (isVariable(kind) && before !== undefined ? [name] : []),
        ),
      ),
  );
}
