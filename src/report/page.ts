import { adviceOf } from './advice.ts';
import { graphChart, layersChart, timelineChart, trendChart } from './charts.ts';
import type { ReportData } from './data.ts';
import { figure, htmlPage, type Section, section, table } from './html.ts';
import { layerTree } from './layer-tree.ts';
import { branchChart, stepGrid } from './step-charts.ts';
import { bytesText, dateText, escapeHtml, percent, secondsText } from './text.ts';

/** Branches that have a column of their own. */
const BRANCHES = 4;

/** Files named in the table of layers. */
const NAMED = 3;

/** Steps drawn in a chart; the tables have them all. */
const DRAWN = 60;

/**
 * A report as one HTML page without anything outside it: no script, no font, no picture from elsewhere. Every chart has its
 * numbers as a table below it; light or dark as the reader's system asks.
 */
export function reportPage(data: ReportData): string {
  const { last } = data;
  const title = last === undefined ? 'Varve report' : `Varve report: ${last.build.name}`;
  const steps = last?.steps.slice(0, DRAWN) ?? [];
  const sections = [
    section('summary', 'Summary', summary(data)),
    ...(last === undefined
      ? []
      : [
          section(
            'timeline',
            'Time line of the last build',
            figure(
              (theme) => timelineChart(steps, theme),
              'When each step worked. Orange: on the critical path; blue: ran beside it; grey: found in the cache.',
            ),
            table(
              ['step', 'state', 'after', 'took', 'critical', 'why'],
              last.steps.map((s) => [
                s.name,
                s.state,
                secondsText(s.from),
                secondsText(s.tookMs),
                s.critical ? 'yes' : '',
                s.reason ?? '',
              ]),
            ),
          ),
          section(
            'graph',
            'Graph',
            figure(
              (theme) => graphChart(steps, theme),
              'Steps and what they stand on or copy from.',
            ),
          ),
        ]),
    ...(data.layers.length === 0
      ? []
      : [
          section(
            'layers',
            'Layers',
            figure(
              (theme) => layersChart(data, theme),
              'Layers by size. Red: bytes that a later layer writes again or removes.',
              'marks',
            ),
            table(
              ['layer', 'size', 'wasted', 'largest files'],
              data.layers.map(({ madeBy, size, wasted, files }) => [
                madeBy,
                bytesText(size),
                wasted === 0 ? '' : bytesText(wasted),
                files
                  .slice(0, NAMED)
                  .map((file) => `${file.path} (${bytesText(file.size)})`)
                  .join(', '),
              ]),
            ),
            '<h3>Files</h3>',
            layerTree(data.layers),
          ),
        ]),
    section(
      'trend',
      'Builds over time',
      figure(
        (theme) => trendChart(data, theme),
        'Share of steps found, and seconds, of each build.',
      ),
      table(
        ['build', 'started', 'name', 'found', 'ran', 'took', 'saved'],
        data.trend
          .toReversed()
          .map((t) => [
            t.failed ? `${t.id} (failed)` : t.id,
            dateText(t.at),
            t.name,
            String(t.hits),
            String(t.runs),
            secondsText(t.tookMs),
            secondsText(t.savedMs),
          ]),
      ),
    ),
    section(
      'causes',
      'Causes of misses',
      table(
        ['what changed', 'kind', 'builds', 'cost'],
        data.causes.map((c) => [c.name, c.kind, String(c.builds), secondsText(c.costMs)]),
      ),
    ),
    stepsSection(data),
    section(
      'branches',
      'Branches',
      figure(
        (theme) => branchChart(data, theme),
        'Share of steps found in the builds of each branch.',
      ),
      table(
        ['branch', 'builds', 'found', 'ran', 'hit rate', 'saved'],
        data.branches.map((b) => [
          b.name === '' ? 'no branch' : b.name,
          ...[String(b.builds), String(b.hits), String(b.runs)],
          percent(b.hits, b.hits + b.runs),
          secondsText(b.savedMs),
        ]),
      ),
    ),
    section(
      'store',
      'The store',
      table(
        ['kind', 'size'],
        data.store.map(({ kind, bytes }) => [kind, bytesText(bytes)]),
      ),
    ),
    section('advice', 'Advice', adviceHtml(data)),
  ];
  return htmlPage({ title, made: data.at, of: 'the report', sections });
}

/** Steps over builds, with the hit rate in each of the branches that were built most. */
function stepsSection(data: ReportData): Section {
  const branches = data.branches.length < 2 ? [] : data.branches.slice(0, BRANCHES);
  return section(
    'steps',
    'Steps over time',
    figure(
      (theme) => stepGrid(data, theme),
      'Each step in each build, oldest first: low grey marks were found, high orange ones ran.',
    ),
    table(
      [
        ...['step', 'found', 'ran', 'hit rate', 'time in all'],
        ...branches.map(({ name }) => (name === '' ? 'no branch' : name)),
      ],
      data.steps.map((s) => [
        s.name,
        ...[String(s.hits), String(s.runs), percent(s.hits, s.hits + s.runs)],
        secondsText(s.totalMs),
        ...branches.map(({ name }) => {
          const of = s.branches[name];
          return of === undefined ? '' : percent(of.hits, of.of);
        }),
      ]),
    ),
  );
}

function summary({ last, trend, store }: ReportData): string {
  if (last === undefined) return '<p>No build was made here yet.</p>';
  const point = trend.at(-1);
  const ran = last.steps.filter(({ state, reason }) => state !== 'cached' && reason !== undefined);
  const saved = trend.reduce((sum, { savedMs }) => sum + savedMs, 0);
  const bytes = store.reduce((sum, each) => sum + each.bytes, 0);
  const facts: readonly (readonly [string, string])[] = [
    ['Last build', `${secondsText(point?.tookMs ?? 0)}, ${last.build.error ?? 'built'}`],
    ['Steps found', `${point?.hits ?? 0} of ${(point?.hits ?? 0) + (point?.runs ?? 0)}`],
    [
      'Critical path',
      secondsText(last.steps.reduce((sum, s) => sum + (s.critical ? s.tookMs : 0), 0)),
    ],
    ['Work in all', secondsText(ran.reduce((sum, s) => sum + s.tookMs, 0))],
    [`Saved in ${trend.length} builds`, secondsText(saved)],
    ['Store', bytesText(bytes)],
  ];
  return `<dl>${facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl>`;
}

function adviceHtml(data: ReportData): string {
  const advice = adviceOf(data);
  if (advice.length === 0) return '<p>Nothing stands out.</p>';
  return `<ul>${advice.map(({ text, gain }) => `<li>${escapeHtml(text)} <strong>${escapeHtml(gain)}</strong></li>`).join('')}</ul>`;
}
