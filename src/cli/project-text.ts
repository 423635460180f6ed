import { type GoJson, hexOf } from '../base/index.ts';
import type {
  ImageReport,
  LayerCause,
  LayerReport,
  PlannedLayer,
  ProjectReport,
} from '../build/index.ts';
import { table } from './io.ts';
import { formatBytes } from './progress/text.ts';

const SHOWN_KEY = 12;
const SHOWN_CHANGES = 3;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;
const shortKey = (row: Pick<LayerReport, 'key'>): string => hexOf(row.key).slice(0, SHOWN_KEY);
const isHit = ({ state }: LayerReport): boolean => state === 'here' || state === 'registry';

/** Hits and misses, time and bytes of a whole report. */
function totals(report: ProjectReport): {
  readonly hits: number;
  readonly layers: number;
  readonly savedMs: number;
  readonly savedBytes: number;
  readonly pulled: number;
  readonly pushed: number;
  readonly movedByImages: number;
} {
  const hits = report.layers.filter(isHit);
  const sum = (rows: readonly LayerReport[], of: (row: LayerReport) => number): number =>
    rows.reduce((total, row) => total + of(row), 0);
  return {
    hits: hits.length,
    layers: report.layers.length,
    savedMs: sum(hits, (row) => row.savedMs),
    savedBytes: sum(hits, (row) => Math.max(0, row.bytes - row.pulled)),
    pulled: sum(report.layers, (row) => row.pulled),
    pushed: sum(report.layers, (row) => row.pushed),
    movedByImages: report.images.reduce((total, { moved }) => total + moved, 0),
  };
}

/** The state of a layer in words. */
function stateText(row: LayerReport): string {
  switch (row.state) {
    case 'here':
      return 'cached here';
    case 'registry':
      return 'at the registry';
    case 'built':
      return `built: ${causeText(row.cause, row.layer)}`;
    case 'failed':
      return 'failed';
    case 'skipped':
      return 'not built: a layer that it needs failed';
  }
}

/** Why a layer was built, in words. */
export function causeText(cause: LayerCause | undefined, layer: string): string {
  if (cause === undefined) return 'no earlier build is known';
  const where = cause.layer === layer ? '' : ` in ${cause.layer}`;
  switch (cause.kind) {
    case 'first time':
      return cause.layer === layer
        ? 'first time here'
        : `${cause.layer} is built for the first time here`;
    case 'gone':
      return `its result is gone${where}`;
    case 'no cache':
      return 'caching is off';
    case 'changed': {
      const shown = cause.changes.slice(0, SHOWN_CHANGES).map(changeText);
      const more = cause.changes.length - shown.length;
      return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}${where}`;
    }
  }
}

function changeText({ kind, name, before, after }: LayerCause['changes'][number]): string {
  const what = name === '' ? kind : `${kind} ${name}`;
  if (before === undefined) return `${what} is new`;
  if (after === undefined) return `${what} is gone`;
  const plain = kind === 'argument' || kind === 'option' || kind === 'platform';
  return plain ? `${what} changed (${before} -> ${after})` : `${what} changed`;
}

const HEAD = ['LAYER', 'KEY', 'SIZE', 'TIME', 'MOVED', 'STATE'];

function cells(row: LayerReport, platforms: boolean): readonly string[] {
  return [
    platforms ? `${row.layer} (${row.platform})` : row.layer,
    shortKey(row),
    row.bytes === 0 ? '-' : formatBytes(row.bytes),
    seconds(row.ms),
    row.pulled + row.pushed === 0 ? '-' : formatBytes(row.pulled + row.pushed),
    stateText(row),
  ];
}

const several = ({ layers }: ProjectReport): boolean =>
  new Set(layers.map(({ platform }) => platform)).size > 1;

function summaryLine(report: ProjectReport): string {
  const t = totals(report);
  const moved = t.pulled + t.pushed + t.movedByImages;
  return `hits ${t.hits}/${t.layers} in ${seconds(report.ms)}; saved ${seconds(t.savedMs)} and ${formatBytes(t.savedBytes)}; moved ${formatBytes(moved)}`;
}

function imageLines(image: ImageReport): readonly string[] {
  const names = image.tags.length === 0 ? '' : ` ${image.tags.join(', ')}`;
  const other = image.failure === undefined ? 'written' : 'not made';
  const digest = image.result?.target.digest ?? other;
  const lines = [
    `image ${image.image}${names}: ${digest} (${seconds(image.ms)}, ${formatBytes(image.moved)} moved)`,
  ];
  for (const { path, layers } of image.overlaps)
    lines.push(
      `warning: ${path} is in ${layers.join(' and ')}: the image has that of ${layers.at(-1) ?? ''}`,
    );
  if (image.notCompared.length > 0)
    lines.push(
      `not compared for overlapping files, for they are not here: ${image.notCompared.join(', ')}`,
    );
  return lines;
}

/** The report for people. */
export function reportText(report: ProjectReport): string {
  const rows = report.layers.map((row) => cells(row, several(report)));
  const layers = rows.length === 0 ? '' : `${table([HEAD, ...rows])}${summaryLine(report)}\n`;
  return `${layers}${report.images
    .flatMap(imageLines)
    .map((line) => `${line}\n`)
    .join('')}`;
}

/** The report for the summary page of a CI job (GitHub flavoured Markdown). */
export function reportMarkdown(report: ProjectReport): string {
  const escape = (text: string): string => text.replace(/[|<>&`*_\\]/g, (c) => `\\${c}`);
  const row = (parts: readonly string[]): string => `| ${parts.map(escape).join(' | ')} |\n`;
  const head = `${row(HEAD.map((h) => h.charAt(0) + h.slice(1).toLowerCase()))}|${' --- |'.repeat(HEAD.length)}\n`;
  const body = report.layers.map((layer) => row(cells(layer, several(report)))).join('');
  const images = report.images
    .flatMap(imageLines)
    .map((line) => `- ${escape(line)}\n`)
    .join('');
  return `### ${escape(report.project)}: ${escape(summaryLine(report))}\n\n${head}${body}\n${images}`;
}

/** The report as one JSON value; `v` is the version of its shape. */
export function reportJson(report: ProjectReport): GoJson {
  const { layers: _count, ...sums } = totals(report);
  const value = {
    v: 1,
    project: report.project,
    ms: Math.round(report.ms),
    ...sums,
    layers: report.layers.map(({ failure: failed, ...row }) => ({
      ...row,
      ms: Math.round(row.ms),
      savedMs: Math.round(row.savedMs),
      ...(row.startedMs === undefined ? {} : { startedMs: Math.round(row.startedMs) }),
      ...(failed === undefined ? {} : { error: { code: failed.code, message: failed.message } }),
    })),
    images: report.images.map(({ failure: failed, result, ms, ...row }) => ({
      ...row,
      ms: Math.round(ms),
      ...(result === undefined ? {} : { digest: result.target.digest }),
      ...(failed === undefined ? {} : { error: { code: failed.code, message: failed.message } }),
    })),
  };
  // Everything in it is a JSON value; an interface has no index signature to say so.
  return value as unknown as GoJson;
}

/** A plan for people. */
export function projectPlanText(plan: readonly PlannedLayer[]): string {
  const rows = plan.map((row) => [
    row.layer,
    hexOf(row.key).slice(0, SHOWN_KEY),
    row.bytes === undefined ? '-' : formatBytes(row.bytes),
    row.state === 'here'
      ? 'cached here'
      : row.state === 'registry'
        ? 'at the registry'
        : `build: ${causeText(row.cause, row.layer)}${row.ms === undefined ? '' : ` (about ${seconds(row.ms)})`}`,
  ]);
  const built = plan.filter(({ state }) => state === 'build');
  const known = built.flatMap(({ ms, bytes }) =>
    ms === undefined ? [] : [{ ms, bytes: bytes ?? 0 }],
  );
  const expected =
    built.length === 0
      ? ''
      : known.length === 0
        ? '; how long that takes is not known'
        : `: about ${seconds(known.reduce((s, { ms }) => s + ms, 0))} and ${formatBytes(known.reduce((s, { bytes }) => s + bytes, 0))}${known.length < built.length ? `, and ${built.length - known.length} of unknown length` : ''}`;
  return `${table([['LAYER', 'KEY', 'SIZE', 'STATE'], ...rows])}${built.length} of ${plan.length} layers would be built${expected}\n`;
}

/** A plan as one JSON value; `v` is the version of its shape. */
export function projectPlanJson(plan: readonly PlannedLayer[]): GoJson {
  // Everything in it is a JSON value; an interface has no index signature to say so.
  return { v: 1, layers: plan } as unknown as GoJson;
}
