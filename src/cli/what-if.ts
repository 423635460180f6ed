import type { Model } from '../advice/index.ts';
import {
  type Commit,
  forecast,
  type Prices,
  predictCommits,
  type ReplayStep,
  type StepCosts,
  type VariantForecast,
} from '../analyze/index.ts';
import { type GoJson, ok, type Result } from '../base/index.ts';
import { readIgnoreFile } from '../dockerfile/index.ts';
import { table } from './io.ts';
import { byteText } from './lint-text.ts';
import type { TrialBuilds, TrialSteps } from './trial-builds.ts';

/** What a history of commits would have cost with one Dockerfile and with another. */
export interface WhatIf {
  readonly commits: number;
  readonly before: VariantForecast;
  readonly after: VariantForecast;
  readonly prices: Prices;
}

/** A Dockerfile and its ignore file. */
export interface Variant {
  readonly model: Model;
  readonly ignore?: string;
}

/** What a what-if is made from. */
export interface WhatIfInput {
  readonly variants: readonly [before: Variant, after: Variant];
  readonly commits: readonly Commit[];
  readonly changing: ReadonlySet<string>;
  readonly target?: string;
  readonly prices: Prices;
}

/** Replays commits for both variants; what a step costs is measured by building each variant once without the cache. */
export async function whatIf(trials: TrialBuilds, input: WhatIfInput): Promise<Result<WhatIf>> {
  const forecasts: VariantForecast[] = [];
  for (const { model, ignore } of input.variants) {
    const patterns = readIgnoreFile(ignore ?? '');
    const cold = await trials.steps(
      { text: model.file.text, ...(ignore === undefined ? {} : { ignore }) },
      { fresh: true },
    );
    if (!cold.ok) return cold;
    const predicted = predictCommits(model, input.commits, {
      ignored: patterns.ok ? patterns.value : [],
      changing: input.changing,
      ...(input.target === undefined ? {} : { target: input.target }),
    });
    forecasts.push(forecast(predicted, costsOf(cold.value), input.prices));
  }
  const [before, after] = forecasts;
  if (before === undefined || after === undefined) throw new Error('there are two variants');
  return ok({ commits: input.commits.length, before, after, prices: input.prices });
}

/** Costs by the text of the instruction; what was not measured (its arguments are expanded) costs the mean. */
function costsOf({ took, wrote }: TrialSteps): StepCosts {
  const byText = (values: ReadonlyMap<string, number>): ((step: ReplayStep) => number) => {
    const known = new Map([...values].map(([name, value]) => [instruction(name), value]));
    const mean =
      [...values.values()].reduce((sum, each) => sum + each, 0) / Math.max(1, values.size);
    return ({ name }) => known.get(instruction(name.replace(/^\S+ /, ''))) ?? mean;
  };
  return { msOf: byText(took), bytesOf: byText(wrote) };
}

const instruction = (name: string): string =>
  name
    .replace(/^\[[^\]]*\] /, '')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** The tables of a what-if. */
export function whatIfText({ commits, before, after, prices }: WhatIf): string {
  const percent = (of: VariantForecast): string => `${(of.hitRate * 100).toFixed(1)} %`;
  const rows: readonly (readonly [string, (of: VariantForecast) => string])[] = [
    ['steps executed', (of) => `${of.executed} of ${of.steps}`],
    ['hit rate', percent],
    ['minutes', ({ minutes }) => minutes.toFixed(2)],
    ['minutes a week', ({ minutesPerWeek }) => minutesPerWeek.toFixed(2)],
    ['money a week', ({ moneyPerWeek }) => moneyPerWeek.toFixed(2)],
    ['written', ({ writtenBytes }) => byteText(writtenBytes)],
  ];
  const kinds = before.byKind.map((of, i) => {
    const other = after.byKind[i];
    return [
      ...[of.kind.toUpperCase(), String(of.executed), String(other?.executed ?? 0)],
      ...[of.minutes.toFixed(2), (other?.minutes ?? 0).toFixed(2)],
      ...[byteText(of.bytes), byteText(other?.bytes ?? 0)],
    ];
  });
  const sizes = before.bySize.map((of, i) => {
    const [other, smaller] = [after.bySize[i], before.bySize[i - 1]?.below ?? 0];
    return [
      of.below === undefined ? `${byteText(smaller)} and more` : `below ${byteText(of.below)}`,
      ...[String(of.layers), String(other?.layers ?? 0)],
      ...[byteText(of.bytes), byteText(other?.bytes ?? 0)],
    ];
  });
  const saved = before.minutesPerWeek - after.minutesPerWeek;
  return [
    `over the last ${commits} commits (the first fills the cache), at ${prices.perHour} an hour and ${prices.perGigabyteMonth} a gigabyte and month:\n\n`,
    table([['', 'BEFORE', 'AFTER'], ...rows.map(([name, of]) => [name, of(before), of(after)])]),
    '\n',
    table([
      ['BY KIND', 'EXECUTED BEFORE', 'AFTER', 'MINUTES BEFORE', 'AFTER', 'WRITTEN BEFORE', 'AFTER'],
      ...kinds,
    ]),
    '\n',
    table([['BY SIZE OF LAYER', 'LAYERS BEFORE', 'AFTER', 'WRITTEN BEFORE', 'AFTER'], ...sizes]),
    `\nsaves ${saved.toFixed(2)} minutes and ${(before.moneyPerWeek - after.moneyPerWeek).toFixed(2)} a week\n`,
  ].join('');
}

/** The same as JSON. */
export function whatIfJson({ commits, before, after, prices }: WhatIf): GoJson {
  return { commits, prices: { ...prices }, before: variantJson(before), after: variantJson(after) };
}

function variantJson(of: VariantForecast): GoJson {
  return {
    builds: of.builds,
    executed: of.executed,
    steps: of.steps,
    hitRate: of.hitRate,
    minutes: of.minutes,
    minutesPerWeek: of.minutesPerWeek,
    moneyPerWeek: of.moneyPerWeek,
    writtenBytes: of.writtenBytes,
    byKind: of.byKind.map((each) => ({ ...each })),
    bySize: of.bySize.map((each) => ({ ...each })),
  };
}
