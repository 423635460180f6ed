import type { Event, Millis } from '../../events/index.ts';
import { cut, formatBytes, formatSeconds, neutralise, textWidth } from './text.ts';
import { runTime, type StatusLine, Trace, type TracedVertex } from './trace.ts';

/** Colours of the live view; identity functions where colours are off. */
export interface Palette {
  readonly title: (text: string) => string;
  readonly done: (text: string) => string;
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly dim: (text: string) => string;
}

/** What the view is drawn on. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
  readonly palette: Palette;
}

/** Output lines shown below each running step. */
const LOG_LINES = 6;
const BAR_WIDTH = 20;

/** The live view of a build: a screenful of lines for any moment. */
export class TtyProgress {
  readonly #trace = new Trace();
  readonly #warnings = new Map<TracedVertex, number>();

  accept(event: Event): void {
    const { vertex } = this.#trace.accept(event);
    if (event.type === 'warning' && vertex !== undefined)
      this.#warnings.set(vertex, (this.#warnings.get(vertex) ?? 0) + 1);
  }

  /** The lines to show at `now`, at most the screen's rows; `final` shows every step and no output. */
  frame(now: Millis, screen: Screen, final: boolean): readonly string[] {
    const shown = [...this.#trace.vertices.values()].filter((v) => v.state !== 'declared');
    const lines = [this.#title(now, screen, final)];
    const blocks = shown.map((v) => this.#block(v, now, screen, final));
    const budget = final ? Number.POSITIVE_INFINITY : Math.max(1, screen.rows - 2);
    return [...lines, ...fit(blocks, shown, budget)];
  }

  #title(now: Millis, screen: Screen, final: boolean): string {
    const all = [...this.#trace.vertices.values()];
    const ended = all.filter((v) => v.state !== 'declared' && v.state !== 'running').length;
    const time = formatSeconds(now - (this.#trace.startedAt ?? now));
    const total = final ? all.filter((v) => v.state !== 'declared').length : all.length;
    const text = `[+] Building ${time} (${ended}/${total})${final ? ' FINISHED' : ''}`;
    return screen.palette.title(cut(text, screen.columns));
  }

  #block(vertex: TracedVertex, now: Millis, screen: Screen, final: boolean): string[] {
    const { palette } = screen;
    const running = vertex.state === 'running';
    const paint = running
      ? (text: string): string => text
      : vertex.state === 'error'
        ? palette.error
        : vertex.state === 'canceled'
          ? palette.warning
          : palette.done;
    const warned = this.#warnings.get(vertex);
    const note = warned === undefined ? '' : ` (${warned} warning${warned === 1 ? '' : 's'})`;
    const name = `${MARK[vertex.state]}${neutralise(vertex.name)}${note}`;
    const lines = [paint(row(`=> ${name}`, formatSeconds(runTime(vertex, now)), screen.columns))];
    if (final && vertex.state === 'cached') return lines;
    for (const status of vertex.statuses.values()) {
      if (!running && !final) continue;
      const took = formatSeconds((status.completed ? status.at : now) - status.startedAt);
      lines.push(paint(row(`=> => ${describe(status)}`, took, screen.columns)));
    }
    if (running && !final)
      for (const line of vertex.tail.slice(-LOG_LINES))
        lines.push(palette.dim(cut(` => => # ${line.text}`, screen.columns)));
    return lines;
  }
}

const MARK: Readonly<Record<TracedVertex['state'], string>> = {
  declared: '',
  running: '',
  done: '',
  cached: 'CACHED ',
  error: 'ERROR ',
  canceled: 'CANCELED ',
};

function describe(status: StatusLine): string {
  const id = neutralise(status.id);
  if (status.total === undefined || status.total === 0)
    return status.current === 0 ? id : `${id} ${formatBytes(status.current)}`;
  const size = `${formatBytes(status.current)} / ${formatBytes(status.total)}`;
  if (status.completed) return `${id} ${size}`;
  const part = Math.min(1, Math.max(0, status.current / status.total));
  const filled = Math.round(part * BAR_WIDTH);
  return `${id} [${'='.repeat(filled)}${' '.repeat(BAR_WIDTH - filled)}] ${size}`;
}

/** Text on the left, time at the right edge. */
function row(left: string, right: string, columns: number): string {
  const room = columns - right.length - 2;
  if (room < 8) return cut(` ${left}`, columns);
  const text = cut(` ${left}`, room);
  return `${text}${' '.repeat(room - textWidth(text) + 1)}${right}`;
}

/**
 * Chooses what fits into `budget` lines: running steps first with their output, then the latest ended ones; the order
 * stays that of the build.
 */
function fit(
  blocks: readonly string[][],
  vertices: readonly TracedVertex[],
  budget: number,
): string[] {
  const total = blocks.reduce((sum, b) => sum + b.length, 0);
  if (total <= budget) return blocks.flat();
  const kept = new Map<number, string[]>();
  let left = budget;
  const order = [...vertices.keys()].sort((a, b) => rank(vertices[a]) - rank(vertices[b]) || b - a);
  for (const i of order) {
    if (left <= 0) break;
    const block = (blocks[i] ?? []).slice(0, left);
    kept.set(i, block);
    left -= block.length;
  }
  return [...kept.entries()].sort(([a], [b]) => a - b).flatMap(([, block]) => block);
}

function rank(vertex: TracedVertex | undefined): number {
  return vertex?.state === 'running' || vertex?.state === 'error' ? 0 : 1;
}
