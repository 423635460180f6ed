import { createTwoFilesPatch } from 'diff';
import type { IgnoreFile } from '../advice/index.ts';
import type { Proven, RefusedRewrite, Scenario } from '../analyze/index.ts';
import type { GoJson } from '../base/index.ts';
import { table } from './io.ts';
import { byteText } from './lint-text.ts';
import type { TrialSteps } from './trial-builds.ts';
import { type WhatIf, whatIfJson, whatIfText } from './what-if.ts';

/** One scenario, measured with both Dockerfiles. */
export interface MeasuredScenario {
  readonly scenario: Scenario;
  readonly before: TrialSteps;
  readonly after: TrialSteps;
}

/** Everything that is said of an optimised Dockerfile. */
export interface OptimizeReport {
  readonly path: string;
  readonly original: string;
  /** Its name is the path to show. */
  readonly ignoreFile?: IgnoreFile;
  readonly proven: Proven;
  readonly measured: readonly MeasuredScenario[];
  readonly whatIf?: WhatIf;
}

/** The change as a unified diff, of the ignore file too. */
export function patchOf({ path, original, ignoreFile, proven }: OptimizeReport): string {
  const patch = (name: string, before: string, after: string): string =>
    before === after
      ? ''
      : createTwoFilesPatch(`a/${name}`, `b/${name}`, before, after, undefined, undefined, {
          context: 3,
        }).replace(/^=+\n/, '');
  const { ignore = ignoreFile?.text ?? '' } = proven;
  const ignoreName = ignoreFile?.name ?? '.dockerignore';
  return `${patch(path, original, proven.text)}${patch(ignoreName, ignoreFile?.text ?? '', ignore)}`;
}

/** The report for people, without the diff. */
export function reportText(report: OptimizeReport): string {
  const { proven, measured } = report;
  const { kept, refused, comparison } = proven;
  if (kept.length === 0) return `nothing was changed\n${refusedText(refused)}`;
  const dropped =
    comparison.dropped.length === 0
      ? ''
      : `no longer in the image (now in a cache mount): ${comparison.dropped.length} paths, such as ${comparison.dropped[0]?.path ?? ''}\n`;
  const unstable =
    comparison.unstable.length === 0
      ? ''
      : `not compared, because two builds of the original differ there too: ${comparison.unstable.join(', ')}\n`;
  return [
    `kept ${kept.length} of ${kept.length + refused.length} rewrites:\n`,
    ...kept.map(({ title }) => `  ${title}\n`),
    refusedText(refused),
    `proof: ${comparison.entries} paths and the configuration are equal, times aside (${proven.builds} builds)\n`,
    dropped,
    unstable,
    measured.length === 0 ? '' : `\n${measuredText(measured)}`,
    report.whatIf === undefined ? '' : `\n${whatIfText(report.whatIf)}`,
  ].join('');
}

function refusedText(refused: readonly RefusedRewrite[]): string {
  if (refused.length === 0) return '';
  return ['refused:\n', ...refused.map(({ rewrite, why }) => `  ${rewrite.title}: ${why}\n`)].join(
    '',
  );
}

function measuredText(measured: readonly MeasuredScenario[]): string {
  const count = ({ executed, steps }: TrialSteps): string =>
    `${executed.length} of ${steps.length}`;
  return table([
    ['SCENARIO', 'STEPS BEFORE', 'AFTER', 'SECONDS BEFORE', 'AFTER', 'WRITTEN BEFORE', 'AFTER'],
    ...measured.map(({ scenario, before, after }) => [
      scenario.file === undefined ? scenario.name : `${scenario.name} (${scenario.file})`,
      ...[count(before), count(after)],
      ...[before.seconds.toFixed(2), after.seconds.toFixed(2)],
      ...[byteText(before.bytes), byteText(after.bytes)],
    ]),
  ]);
}

/** The report as JSON. */
export function reportJson(report: OptimizeReport): GoJson {
  const { proven, measured, path } = report;
  const { comparison } = proven;
  return {
    v: 1,
    file: path,
    diff: proven.kept.length === 0 ? '' : patchOf(report),
    dockerfile: proven.text,
    ...(proven.ignore === undefined ? {} : { ignore: proven.ignore }),
    kept: proven.kept.map(({ kind, title }) => ({ kind, title })),
    refused: proven.refused.map(({ rewrite, why }) => ({
      kind: rewrite.kind,
      title: rewrite.title,
      why,
    })),
    proof: {
      equal: comparison.equal,
      paths: comparison.entries,
      dropped: comparison.dropped.map((each) => each.path),
      unstable: [...comparison.unstable],
      builds: proven.builds,
    },
    scenarios: measured.map(({ scenario, before, after }) => ({
      name: scenario.name,
      file: scenario.file,
      before: stepsJson(before),
      after: stepsJson(after),
    })),
    ...(report.whatIf === undefined ? {} : { whatIf: whatIfJson(report.whatIf) }),
  };
}

const stepsJson = ({ executed, steps, seconds, bytes }: TrialSteps): GoJson => ({
  executed: executed.length,
  steps: steps.length,
  names: [...executed],
  milliseconds: Math.round(seconds * 1000),
  bytes,
});
