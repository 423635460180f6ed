import { neutralise } from '../base/index.ts';
import { adviceOf } from './advice.ts';
import type { ReportData } from './data.ts';
import { bytesText, dateText, percent, secondsText } from './text.ts';

/** Rows of tables in Markdown. */
const ROWS = 10;

/** A report for the summary of a CI job. */
export function reportMarkdown(data: ReportData): string {
  const { last, trend } = data;
  if (last === undefined) return '# Varve report\n\nNo build was made here yet.\n';
  const point = trend.at(-1);
  const ran = last.steps.filter((s) => s.state !== 'cached' && s.reason !== undefined);
  const lines = [
    `# Varve report: ${inline(last.build.name)}`,
    '',
    `${dateText(data.at)}; last build ${last.build.id}: ${point?.hits ?? 0} steps found, ${point?.runs ?? 0} ran, ${secondsText(point?.tookMs ?? 0)}, ${secondsText(point?.savedMs ?? 0)} saved.`,
    ...part(
      'Steps that ran',
      ['step', 'took', 'why'],
      ran.map((s) => [s.name, secondsText(s.tookMs), s.reason ?? '']),
    ),
    ...part(
      'Causes of misses',
      ['what changed', 'kind', 'builds', 'cost'],
      data.causes.map((c) => [c.name, c.kind, String(c.builds), secondsText(c.costMs)]),
    ),
    ...part(
      'Steps over time',
      ['step', 'hit rate', 'time in all'],
      data.steps.map((s) => [s.name, percent(s.hits, s.hits + s.runs), secondsText(s.totalMs)]),
    ),
    ...part(
      'Branches',
      ['branch', 'builds', 'hit rate', 'saved'],
      data.branches
        .filter(({ name }) => name !== '')
        .map((b) => [
          ...[b.name, String(b.builds), percent(b.hits, b.hits + b.runs)],
          secondsText(b.savedMs),
        ]),
    ),
    ...part(
      'Layers',
      ['layer', 'size', 'wasted'],
      data.layers.map((l) => [l.madeBy, bytesText(l.size), bytesText(l.wasted)]),
    ),
    ...part(
      'Advice',
      ['what', 'gain'],
      adviceOf(data).map(({ text, gain }) => [text, gain]),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function part(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  if (rows.length === 0) return [];
  const row = (cells: readonly string[]): string => `| ${cells.map(inline).join(' | ')} |`;
  const more = rows.length - ROWS;
  return [
    ...['', `## ${title}`, '', row(head), `|${' --- |'.repeat(head.length)}`],
    ...rows.slice(0, ROWS).map(row),
    ...(more > 0 ? ['', `and ${more} more`] : []),
  ];
}

/** Text in a cell: nothing in it is Markdown or HTML. */
const inline = (text: string): string =>
  neutralise(text.replaceAll(/\s+/g, ' ')).replaceAll(/[\\`*_[\]<>|#]/g, (mark) => `\\${mark}`);

/** A report as Prometheus text (exposition format 0.0.4). */
export function reportPrometheus({ trend, branches, causes, store }: ReportData): string {
  const last = trend.at(-1);
  const sum = (of: (point: (typeof trend)[number]) => number): number =>
    trend.reduce((total, point) => total + of(point), 0);
  const label = (value: string): string =>
    value
      .split('\n')
      .map((line) => neutralise(line).replaceAll('\\', '\\\\').replaceAll('"', '\\"'))
      .join('\\n');
  const metric = (name: string, help: string, samples: readonly string[]): string[] =>
    samples.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...samples];
  const one = (name: string, help: string, value: number): string[] =>
    metric(name, help, [`${name} ${value}`]);
  return `${[
    ...one('varve_builds', 'Builds in the history that is reported.', trend.length),
    ...one('varve_builds_failed', 'Builds that failed.', trend.filter((t) => t.failed).length),
    ...one(
      'varve_steps_found',
      'Steps found in the cache.',
      sum((t) => t.hits),
    ),
    ...one(
      'varve_steps_run',
      'Steps that ran.',
      sum((t) => t.runs),
    ),
    ...one('varve_build_seconds', 'Time of all builds.', sum((t) => t.tookMs) / 1000),
    ...one(
      'varve_saved_seconds',
      'Time that steps found had taken when they last ran.',
      sum((t) => t.savedMs) / 1000,
    ),
    ...(last === undefined
      ? []
      : one('varve_last_build_seconds', 'Time of the last build.', last.tookMs / 1000)),
    ...metric(
      'varve_branch_hit_ratio',
      'Share of steps found in the builds of a branch.',
      branches
        .filter(({ name }) => name !== '')
        .map((b) => {
          const ratio = b.hits / Math.max(1, b.hits + b.runs);
          return `varve_branch_hit_ratio{branch="${label(b.name)}"} ${Math.round(1000 * ratio) / 1000}`;
        }),
    ),
    ...metric(
      'varve_miss_seconds',
      'Time of steps that ran, by what had changed.',
      causes.map(
        (c) =>
          `varve_miss_seconds{kind="${label(c.kind)}",name="${label(c.name)}"} ${c.costMs / 1000}`,
      ),
    ),
    ...metric(
      'varve_store_bytes',
      'Disk space of the store.',
      store.map(({ kind, bytes }) => `varve_store_bytes{kind="${label(kind)}"} ${bytes}`),
    ),
  ].join('\n')}\n`;
}
