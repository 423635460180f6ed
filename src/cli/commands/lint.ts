import { type Finding, lintCaching, type Model } from '../../advice/index.ts';
import { changingVariableNames, measureFinding, projectHistory } from '../../analyze/index.ts';
import {
  coveredCredentials,
  failure,
  type GoJson,
  positionAt,
  renderFailure,
} from '../../base/index.ts';
import { projectOf } from '../../build/index.ts';
import { Options } from '../build-request.ts';
import { fail, type Io, neutraliseLines, printJson } from '../io.ts';
import { layerBytes } from '../layer-bytes.ts';
import { buildkitRules } from '../lint-buildkit.ts';
import { sarifText } from '../lint-sarif.ts';
import { type Advice, costText } from '../lint-text.ts';
import { openAdvisedProject } from '../open-project.ts';

/** `varve lint [CONTEXT]`: what makes builds of a Dockerfile slow, large or unsafe, with what it has cost here. */
export async function lintCommand(
  io: Io,
  context: string | undefined,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const options = new Options(values);
  await using resources = new AsyncDisposableStack();
  const opened = await openAdvisedProject(io, context, options, resources);
  if (!opened.ok) return fail(io, opened.error);
  const { store, request } = opened.value;
  const { model, facts } = opened.value.project;
  const history = projectHistory(store.db.history, projectOf(request));
  const found = lintCaching(model, {
    ...(facts === undefined ? {} : { context: facts }),
    changing: changingVariableNames(history),
  });
  const bytesOf =
    history.length > 0 && found.some(({ rule }) => rule === 'recursive-rights')
      ? await layerBytes(io, store)
      : () => undefined;
  const own = found.map((finding): Advice => {
    const cost = measureFinding(finding, model, { history, bytesOf });
    return { finding, ...(cost === undefined ? {} : { cost }) };
  });
  const others = options.is('buildkit')
    ? await buildkitRules(io, store, { request, resources, model })
    : { ok: true as const, value: [] };
  if (!others.ok) return fail(io, others.error);
  const advice = [...own, ...others.value].sort(byPlace);
  print(io, { advice, model, builds: history.length, options });
  return exitOf(io, advice, options.text('failOn') ?? 'warning');
}

const byPlace = (a: Advice, b: Advice): number =>
  (a.finding.span?.offset ?? 0) - (b.finding.span?.offset ?? 0);

interface Printed {
  readonly advice: readonly Advice[];
  readonly model: Model;
  readonly builds: number;
  readonly options: Options;
}

function print(io: Io, { advice, model, builds, options }: Printed): void {
  if (options.is('sarif')) io.out(sarifText(model.file, advice));
  else if (options.is('json')) printJson(io, json(advice, model, builds));
  else printText(io, advice, { model, builds });
}

function printText(
  io: Io,
  advice: readonly Advice[],
  { model, builds }: Pick<Printed, 'model' | 'builds'>,
): void {
  for (const each of advice) io.out(`${neutraliseLines(text(each, model))}\n\n`);
  const counts = (['error', 'warning', 'info'] as const)
    .map(
      (severity) =>
        [severity, advice.filter(({ finding }) => finding.severity === severity)] as const,
    )
    .filter(([, of]) => of.length > 0)
    .map(
      ([severity, of]) =>
        `${of.length} ${severity === 'info' ? 'info' : `${severity}${of.length === 1 ? '' : 's'}`}`,
    );
  const measured =
    builds === 0
      ? 'no builds of this project are known here: nothing is measured'
      : `measured over ${builds} ${builds === 1 ? 'build' : 'builds'}`;
  io.out(`${advice.length === 0 ? 'nothing found' : counts.join(', ')} (${measured})\n`);
}

function text({ finding, cost }: Advice, { file }: Model): string {
  const { span, other } = finding;
  const severity = finding.severity === 'error' ? 'error' : 'warning';
  const shown = renderFailure(
    failure(finding.rule, 2, finding.message, {
      places: [
        { file, span: span ?? { offset: 0, length: 0 } },
        ...(other === undefined ? [] : [{ file, span: other.span, note: other.note }]),
      ],
      details: [`  fix: ${finding.fix}`, `  cost: ${costText(finding, cost)}`],
    }),
    severity,
  );
  return finding.severity === 'info' ? shown.replace(/^warning\[/, 'info[') : shown;
}

function json(advice: readonly Advice[], { file }: Model, builds: number): GoJson {
  return {
    v: 1,
    file: file.path,
    builds,
    findings: advice.map(({ finding, cost }) => ({
      rule: finding.rule,
      severity: finding.severity,
      message: finding.message,
      fix: finding.fix,
      ...place(coveredCredentials(file.text), finding),
      contextBytes: finding.contextBytes,
      cost:
        cost === undefined
          ? undefined
          : { builds: cost.builds, misses: cost.misses, seconds: cost.seconds, bytes: cost.bytes },
    })),
  };
}

function place(source: string, { span }: Finding): Readonly<Record<string, GoJson>> {
  if (span === undefined) return {};
  const { line, column } = positionAt(source, span.offset);
  return { line, column, excerpt: source.slice(span.offset, span.offset + span.length) };
}

const ORDER = ['info', 'warning', 'error'] as const;

/** 1 when something at least as bad as `--fail-on` was found. */
function exitOf(io: Io, advice: readonly Advice[], failOn: string): number {
  if (failOn === 'never') return 0;
  const least = ORDER.findIndex((severity) => severity === failOn);
  if (least === -1)
    return fail(
      io,
      failure('CL002', 2, `--fail-on ${failOn}: unknown severity`, {
        help: 'known severities: error, warning, info, never',
      }),
    );
  return advice.some(({ finding }) => ORDER.indexOf(finding.severity) >= least) ? 1 : 0;
}
