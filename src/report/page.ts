import { adviceOf } from './advice.ts';
import {
  graphChart,
  layersChart,
  THEMES,
  type Theme,
  timelineChart,
  trendChart,
} from './charts.ts';
import type { ReportData } from './data.ts';
import { layerTree } from './layer-tree.ts';
import { branchChart, stepGrid } from './step-charts.ts';
import { bytesText, dateText, escapeHtml, percent, secondsText } from './text.ts';

/** A cell that is not to be broken. */
const NUMBER = /^[\d. -]+ ?(?:s|min|%|[kMGT]?B|[\d: -]+UTC)?$/;

/** Rows shown of long tables. */
const ROWS = 25;

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
  const links = sections.map(
    ({ id, heading }) => `<li><a href="#${id}">${escapeHtml(heading)}</a></li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header><h1>${escapeHtml(title)}</h1><p>Made ${dateText(data.at)}</p></header>
<nav aria-label="Parts of the report"><ul>${links.join('')}</ul></nav>
<main id="main">
${sections.map(({ html }) => html).join('\n')}
</main>
</body>
</html>
`;
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

interface Section {
  readonly id: string;
  readonly heading: string;
  readonly html: string;
}

function section(id: string, heading: string, ...parts: readonly string[]): Section {
  const html = `<section id="${id}" aria-labelledby="${id}-h"><h2 id="${id}-h">${escapeHtml(heading)}</h2>${parts.join('')}</section>`;
  return { id, heading, html };
}

/** A chart in both appearances, of which the reader's system shows one; readers of screens get the caption and the table. */
function figure(draw: (theme: Theme) => string, caption: string, words = ''): string {
  const both = (['light', 'dark'] as const).map(
    (name) => `<div class="chart ${name} ${words}" aria-hidden="true">${draw(THEMES[name])}</div>`,
  );
  return `<figure>${both.join('')}<figcaption>${escapeHtml(caption)}</figcaption></figure>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '<p>Nothing yet.</p>';
  const body = (some: readonly (readonly string[])[]): string =>
    some
      .map(([first = '', ...cells]) => {
        const rest = cells
          .map((cell) => `<td${NUMBER.test(cell) ? ' class="n"' : ''}>${escapeHtml(cell)}</td>`)
          .join('');
        return `<tr><th scope="row">${escapeHtml(first)}</th>${rest}</tr>`;
      })
      .join('');
  const whole = (some: readonly (readonly string[])[]): string =>
    `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(head.join(', '))}"><table><thead><tr>${head.map((h) => `<th scope="col">${escapeHtml(h)}</th>`).join('')}</tr></thead><tbody>${body(some)}</tbody></table></div>`;
  if (rows.length <= ROWS) return whole(rows);
  const more = rows.length - ROWS;
  return `${whole(rows.slice(0, ROWS))}<details><summary>${more} more</summary>${whole(rows.slice(ROWS))}</details>`;
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

const STYLE = `
:root{--text:#1c2733;--page:#ffffff;--card:#f4f6f8;--line:#c3ccd6;--link:#10558f;--wasted:#a3122a}
@media (prefers-color-scheme:dark){:root{--text:#e4eaf0;--page:#12181f;--card:#1b232c;--line:#3a4653;--link:#7dbcf0;--wasted:#ff8f9c}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:64rem;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:0 0 .75rem}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-100rem}.skip:focus{left:1rem;top:1rem;background:var(--page);padding:.5rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;list-style:none}
section{margin:1.5rem 0;padding:1rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:1rem;margin:0}
dt{font-size:.85rem}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
figure{margin:0 0 1rem}figcaption{font-size:.85rem}
.chart svg{width:100%;height:auto;display:block}
.chart.dark{display:none}
@media (prefers-color-scheme:dark){.chart.light{display:none}.chart.dark{display:block}}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid var(--line)}
td.n{white-space:nowrap}
tbody th{font-weight:normal;overflow-wrap:anywhere;min-width:14rem}
h3{font-size:1rem;margin:1rem 0 .5rem}
.tree,.tree ul{list-style:none;margin:0;padding-left:1.25rem;font-size:.85rem}
.tree{padding-left:0}
.tree summary{cursor:pointer;overflow-wrap:anywhere}
.tree li{padding:.1rem 0}
.size{font-variant-numeric:tabular-nums;white-space:nowrap}
.wasted{color:var(--wasted);font-weight:600}
@media print{nav,.skip{display:none}section{break-inside:avoid}}
`;
