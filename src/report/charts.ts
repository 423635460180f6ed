import { BarChart, GraphChart, LineChart, TreemapChart } from 'echarts/charts';
import { GridComponent, LegendComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { neutralise } from '../base/index.ts';
import type { ReportData, TimelineStep } from './data.ts';

use([SVGRenderer, BarChart, GraphChart, LineChart, TreemapChart, GridComponent, LegendComponent]);

/** Colours of one appearance. */
export interface Theme {
  readonly text: string;
  readonly faint: string;
  readonly cached: string;
  readonly ran: string;
  readonly critical: string;
  readonly failed: string;
  readonly wasted: string;
  /** Text on a mark. */
  readonly onMark: string;
}

/** Both appearances; contrast of text and marks against the page is at least 4.5:1 and 3:1 (WCAG 2.2, 1.4.3 and 1.4.11). */
export const THEMES: Readonly<Record<'light' | 'dark', Theme>> = {
  light: {
    ...{ text: '#1c2733', faint: '#c3ccd6', cached: '#7b8794', ran: '#1d6fb8' },
    ...{ critical: '#a23b00', failed: '#b3142b', wasted: '#b3142b', onMark: '#ffffff' },
  },
  dark: {
    ...{ text: '#e4eaf0', faint: '#3a4653', cached: '#8b98a6', ran: '#5aa9ea' },
    ...{ critical: '#ff9d5c', failed: '#ff7b8a', wasted: '#ff7b8a', onMark: '#12181f' },
  },
};

const WIDTH = 960;

/** Draws an option of the chart library as SVG text. */
export function drawSvg(
  option: Readonly<Record<string, unknown>>,
  height: number,
  width = WIDTH,
): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

const seconds = (ms: number): number => Math.round(ms / 10) / 100;

/** Text of a label, plain, and cut where it is too long. */
export function shortText(text: string, width: number): string {
  const plain = neutralise(text);
  return plain.length > width ? `${plain.slice(0, width - 1)}…` : plain;
}

function colourOf(step: TimelineStep, theme: Theme): string {
  if (step.state === 'error' || step.state === 'canceled') return theme.failed;
  if (step.state === 'cached') return theme.cached;
  return step.critical ? theme.critical : theme.ran;
}

/** When each step of a build worked. */
export function timelineChart(steps: readonly TimelineStep[], theme: Theme): string {
  const label = { color: theme.text };
  const bars = steps.map((step) => ({
    // A cached step takes no time and is still to be seen.
    value: Math.max(seconds(step.tookMs), 0.01),
    itemStyle: { color: colourOf(step, theme) },
  }));
  return drawSvg(
    {
      grid: { left: 320, right: 30, top: 10, bottom: 40 },
      xAxis: {
        type: 'value',
        name: 'seconds',
        nameLocation: 'middle',
        nameGap: 26,
        nameTextStyle: label,
        axisLabel: label,
        splitLine: { lineStyle: { color: theme.faint } },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: steps.map(({ name }) => shortText(name, 44)),
        axisLabel: label,
        axisLine: { lineStyle: { color: theme.faint } },
      },
      series: [
        {
          type: 'bar',
          stack: 'time',
          silent: true,
          itemStyle: { color: 'transparent' },
          data: steps.map(({ from }) => seconds(from)),
        },
        { type: 'bar', stack: 'time', barMaxWidth: 16, data: bars },
      ],
    },
    60 + 22 * steps.length,
  );
}

/** Steps and what they stand on, from left to right. */
export function graphChart(all: readonly TimelineStep[], theme: Theme): string {
  const used = new Set(all.flatMap(({ inputs }) => inputs));
  // The builder's own steps stand alone.
  const steps = all.filter(({ vertex, inputs }) => inputs.length > 0 || used.has(vertex));
  const depths = depthsOf(steps);
  const columns = new Map<number, number>();
  const gap = Math.min(170, INNER / Math.max(1, ...depths.values()));
  const nodes = steps.map((step) => {
    const column = depths.get(step.vertex) ?? 0;
    const row = columns.get(column) ?? 0;
    columns.set(column, row + 1);
    return {
      id: step.vertex,
      name: shortText(step.name.replace(/^\[[^\]]*\]\s*/, ''), 22),
      x: column * gap,
      y: row * ROW + (column % 2) * (ROW / 2),
      symbol: 'roundRect',
      symbolSize: [14, 14],
      itemStyle: { color: colourOf(step, theme) },
    };
  });
  const known = new Set(steps.map(({ vertex }) => vertex));
  const links = steps.flatMap(({ vertex, inputs }) =>
    inputs.filter((input) => known.has(input)).map((input) => ({ source: input, target: vertex })),
  );
  const height = Math.max(1, ...columns.values()) * ROW;
  return drawSvg(
    {
      series: [
        {
          type: 'graph',
          layout: 'none',
          left: 60,
          right: WIDTH - 60 - INNER,
          top: 40,
          bottom: 50,
          data: [...nodes, corner('corner 1', 0, 0), corner('corner 2', INNER, height)],
          links,
          edgeSymbol: ['none', 'arrow'],
          edgeSymbolSize: 6,
          lineStyle: { color: theme.cached, curveness: 0.1 },
          label: { show: true, position: 'bottom', color: theme.text, fontSize: 10 },
        },
      ],
    },
    height + 90,
  );
}

/** A mark that is not seen: the library stretches what it draws to the whole area, and two of these keep it as it is. */
export const corner = (name: string, x: number, y: number): Readonly<Record<string, unknown>> => ({
  ...{ id: name, name, x, y, symbolSize: 0 },
  label: { show: false },
});

/** Width of the graph without its margins, and the height of a row of it. */
const INNER = 780;
const ROW = 64;

/** The longest way from a source to each step, in steps. */
function depthsOf(steps: readonly TimelineStep[]): ReadonlyMap<string, number> {
  const rows = new Map(steps.map((step) => [step.vertex, step]));
  const depths = new Map<string, number>();
  const depth = (vertex: TimelineStep['vertex']): number => {
    const known = depths.get(vertex);
    if (known !== undefined) return known;
    depths.set(vertex, 0);
    const inputs = rows.get(vertex)?.inputs.filter((input) => rows.has(input)) ?? [];
    const found = inputs.length === 0 ? 0 : 1 + Math.max(...inputs.map(depth));
    depths.set(vertex, found);
    return found;
  };
  for (const { vertex } of steps) depth(vertex);
  return depths;
}

/** Layers by size, what is wasted in each in another colour. */
export function layersChart({ layers }: ReportData, theme: Theme): string {
  const data = layers.map(({ madeBy, size, wasted }, i) => ({
    name: `${i + 1} ${shortText(madeBy, 40)}`,
    value: size,
    itemStyle: { color: theme.ran },
    children: [
      {
        name: `${i + 1} ${shortText(madeBy, 40)}`,
        value: Math.max(size - wasted, 0),
        itemStyle: { color: theme.ran },
      },
      ...(wasted > 0
        ? [
            {
              name: `${i + 1} written again or removed`,
              value: wasted,
              itemStyle: { color: theme.wasted },
            },
          ]
        : []),
    ],
  }));
  return drawSvg(
    {
      series: [
        {
          type: 'treemap',
          left: 0,
          right: 0,
          top: 0,
          bottom: 0,
          roam: false,
          nodeClick: false,
          breadcrumb: { show: false },
          label: { color: theme.onMark, overflow: 'truncate' },
          itemStyle: { borderColor: theme.faint, gapWidth: 1 },
          data,
        },
      ],
    },
    320,
  );
}

/** Share of steps found and time of each build. */
export function trendChart({ trend }: ReportData, theme: Theme): string {
  const label = { color: theme.text };
  const axis = {
    axisLabel: label,
    nameTextStyle: label,
    splitLine: { lineStyle: { color: theme.faint } },
  };
  const rate = trend.map(({ hits, runs }) =>
    hits + runs === 0 ? 0 : Math.round((100 * hits) / (hits + runs)),
  );
  return drawSvg(
    {
      // Widths of texts are estimated without a browser.
      legend: { textStyle: label, bottom: 0, itemGap: 40 },
      grid: { left: 60, right: 60, top: 30, bottom: 60 },
      xAxis: { type: 'category', data: trend.map((_, i) => i + 1), axisLabel: label },
      yAxis: [
        { type: 'value', name: '% found', min: 0, max: 100, ...axis },
        { type: 'value', name: 'seconds', ...axis, splitLine: { show: false } },
      ],
      series: [
        {
          name: 'steps found, %',
          type: 'line',
          data: rate,
          itemStyle: { color: theme.ran },
          lineStyle: { color: theme.ran },
        },
        {
          name: 'seconds',
          type: 'bar',
          yAxisIndex: 1,
          barMaxWidth: 18,
          data: trend.map(({ tookMs }) => seconds(tookMs)),
          itemStyle: { color: theme.cached },
        },
      ],
    },
    280,
  );
}
