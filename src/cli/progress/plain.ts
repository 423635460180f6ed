import type { Event, Millis } from '../../events/index.ts';
import { formatBytes, formatSeconds, formatStamp, neutralise } from './text.ts';
import { type LogLine, runTime, type StatusLine, Trace, type TracedVertex } from './trace.ts';

/** A vertex keeps the output for this long while others wait. */
const TURN_MS = 5_000;
/** An open status is repeated after this time and this much progress. */
const STATUS_MS = 5_000;
const STATUS_PART = 0.05;

interface Pending {
  readonly lines: string[];
  since: Millis;
}

/**
 * BuildKit's plain progress: a text stream in which `#n` tells the lines of one vertex from another's. What a vertex says
 * while another one is shown waits for its turn.
 */
export class PlainProgress {
  readonly #trace = new Trace();
  readonly #pending = new Map<TracedVertex, Pending>();
  readonly #printedStatus = new Map<string, StatusLine>();
  #current: TracedVertex | undefined;
  #shownSince: Millis = 0;
  #count = 0;
  #shownAny = false;

  /** Text to write because of this event. */
  accept(event: Event): string {
    const { vertex, lines } = this.#trace.accept(event);
    if (vertex === undefined) return '';
    const said = this.#linesOf(event, vertex, lines);
    if (event.type === 'vertex' || (said.length === 0 && event.type !== 'vertex-started'))
      return '';
    const pending = this.#pending.get(vertex) ?? { lines: [], since: this.#trace.at };
    pending.lines.push(...said);
    this.#pending.set(vertex, pending);
    return this.#print(vertex, event.type === 'vertex-completed');
  }

  #print(vertex: TracedVertex, completed: boolean): string {
    const current = this.#current;
    if (current === undefined || current === vertex || completed) {
      return this.#show(vertex) + (completed ? this.#next() : '');
    }
    if (this.#trace.at - this.#shownSince < TURN_MS) return '';
    return this.#show(this.#longestWaiting() ?? vertex);
  }

  /** After a vertex ended: the one that waits longest, or any that runs, takes its place. */
  #next(): string {
    const vertex = this.#longestWaiting();
    return vertex === undefined ? '' : this.#show(vertex);
  }

  #longestWaiting(): TracedVertex | undefined {
    let best: TracedVertex | undefined;
    for (const [vertex, pending] of this.#pending) {
      if (vertex === this.#current) continue;
      if (best === undefined || pending.since < (this.#pending.get(best)?.since ?? 0))
        best = vertex;
    }
    return best;
  }

  #show(vertex: TracedVertex): string {
    let out = '';
    if (this.#current !== vertex) {
      if (this.#current !== undefined) out += `#${this.#current.index} ...\n`;
      if (vertex.index === 0) vertex.index = ++this.#count;
      if (this.#shownAny) out += '\n';
      this.#shownAny = true;
      out += `#${vertex.index} ${neutralise(vertex.name)}\n`;
      this.#current = vertex;
      this.#shownSince = this.#trace.at;
    }
    for (const line of this.#pending.get(vertex)?.lines ?? []) out += `#${vertex.index} ${line}\n`;
    this.#pending.delete(vertex);
    if (vertex.state !== 'running' && vertex.state !== 'declared') this.#current = undefined;
    return out;
  }

  #linesOf(event: Event, vertex: TracedVertex, logs: readonly LogLine[]): string[] {
    const output = logs.map((l) => `${formatStamp(l.sinceStart)} ${l.text}`);
    switch (event.type) {
      case 'status':
        return this.#statusLine(vertex, event.id);
      case 'warning':
        return [`WARN: ${neutralise(`${event.rule}: ${event.message}`)}`];
      case 'vertex-completed':
        return [...output, endOf(vertex, this.#trace.at)];
      case 'log':
        return output;
      default:
        return [];
    }
  }

  #statusLine(vertex: TracedVertex, id: string): string[] {
    const status = vertex.statuses.get(id);
    if (status === undefined) return [];
    const key = `${vertex.digest} ${id}`;
    const last = this.#printedStatus.get(key);
    if (last !== undefined && !status.completed && !worthRepeating(last, status)) return [];
    if (last?.completed === true && status.completed) return [];
    this.#printedStatus.set(key, status);
    const took = status.at - status.startedAt;
    return [
      [
        neutralise(id),
        status.total !== undefined && status.total !== 0
          ? ` ${formatBytes(status.current)} / ${formatBytes(status.total)}`
          : status.current !== 0
            ? ` ${formatBytes(status.current)}`
            : '',
        took > 10 ? ` ${formatSeconds(took)}` : '',
        status.completed ? ' done' : '',
      ].join(''),
    ];
  }
}

function worthRepeating(last: StatusLine, now: StatusLine): boolean {
  if (now.at - last.at >= STATUS_MS) return true;
  return now.total !== undefined && (now.current - last.current) / now.total >= STATUS_PART;
}

function endOf(vertex: TracedVertex, at: Millis): string {
  switch (vertex.state) {
    case 'error':
      return `ERROR: ${neutralise(vertex.error)}`;
    case 'canceled':
      return 'CANCELED';
    case 'cached':
      return 'CACHED';
    default:
      return `DONE ${formatSeconds(runTime(vertex, at))}`;
  }
}
