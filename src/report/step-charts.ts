import { ScatterChart } from 'echarts/charts';
import { use } from 'echarts/core';
import { drawSvg, shortText, type Theme } from './charts.ts';
import type { ReportData, StepTrend } from './data.ts';

use([ScatterChart]);

/** Steps drawn; the table has them all. */
const STEPS = 25;

/** Builds drawn: the newest. */
const BUILDS = 60;

/** What became of each step in each build: a row a step, a column a build, oldest first. */
export function stepGrid({ steps, trend }: ReportData, theme: Theme): string {
  const label = { color: theme.text };
  const first = Math.max(0, trend.length - BUILDS);
  const rows = steps.slice(0, STEPS);
  const columns = trend.length - first;
  const width = Math.max(4, Math.min(24, Math.floor(560 / Math.max(1, columns)) - 2));
  const marks = (state: 'found' | 'ran'): readonly (readonly number[])[] =>
    rows.flatMap(({ states }: StepTrend, row) =>
      states.slice(first).flatMap((each, column) => (each === state ? [[column, row]] : [])),
    );
  const series = (name: string, state: 'found' | 'ran', height: number, color: string) => ({
    ...{ name, type: 'scatter', symbol: 'rect', symbolSize: [width, height] },
    ...{ itemStyle: { color, opacity: 1 }, data: marks(state) },
  });
  return drawSvg(
    {
      legend: { textStyle: label, bottom: 0, itemGap: 40 },
      grid: { left: 330, right: 30, top: 10, bottom: 60 },
      xAxis: {
        type: 'category',
        data: trend.slice(first).map((_, i) => first + i + 1),
        axisLabel: label,
        axisLine: { lineStyle: { color: theme.faint } },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: rows.map(({ name }) => shortText(name, 44)),
        axisLabel: label,
        axisLine: { lineStyle: { color: theme.faint } },
      },
      // Told apart by height too, not by colour alone.
      series: [series('found', 'found', 6, theme.cached), series('ran', 'ran', 16, theme.critical)],
    },
    90 + 22 * rows.length,
  );
}

/** Share of steps found in the builds of each branch. */
export function branchChart({ branches }: ReportData, theme: Theme): string {
  const label = { color: theme.text };
  const shown = branches.slice(0, STEPS);
  return drawSvg(
    {
      grid: { left: 200, right: 60, top: 10, bottom: 40 },
      xAxis: {
        ...{ type: 'value', min: 0, max: 100, name: '% found', nameLocation: 'middle' },
        ...{ nameGap: 26, nameTextStyle: label, axisLabel: label },
        splitLine: { lineStyle: { color: theme.faint } },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: shown.map(({ name }) => shortText(name === '' ? 'no branch' : name, 26)),
        axisLabel: label,
        axisLine: { lineStyle: { color: theme.faint } },
      },
      series: [
        {
          ...{ type: 'bar', barMaxWidth: 16, itemStyle: { color: theme.ran } },
          label: { show: true, position: 'right', color: theme.text, formatter: '{c} %' },
          data: shown.map(({ hits, runs }) => Math.round((100 * hits) / Math.max(1, hits + runs))),
        },
      ],
    },
    60 + 24 * shown.length,
  );
}
