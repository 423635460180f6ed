import { StringDecoder } from 'node:string_decoder';
import type { Digest } from '../../base/index.ts';
import type { Event, Millis, VertexLog, VertexStatus } from '../../events/index.ts';
import { neutralise } from './text.ts';

/** A line below a vertex as last reported. */
export interface StatusLine {
  readonly id: string;
  readonly startedAt: Millis;
  readonly at: Millis;
  readonly current: number;
  readonly total: number | undefined;
  readonly completed: boolean;
}

/** What is known of one vertex. */
export interface TracedVertex {
  readonly digest: Digest;
  name: string;
  /** `#n`, given when it is first shown; 0 before. */
  index: number;
  /** Times of execution, the last one open while it runs. */
  readonly intervals: { start: Millis; end: Millis | undefined }[];
  state: 'declared' | 'running' | 'done' | 'cached' | 'error' | 'canceled';
  error: string;
  readonly statuses: Map<string, StatusLine>;
  /** Last lines of output, oldest first, neutralised, with their time since the start. */
  readonly tail: LogLine[];
  readonly partial: [out: Partial, err: Partial];
}

/** One line of output. */
export interface LogLine {
  readonly sinceStart: Millis;
  readonly text: string;
}

interface Partial {
  readonly decoder: StringDecoder;
  text: string;
}

/** Lines repeated when a step failed. */
const TAIL_LINES = 20;
/** A line without an end is cut after this many characters. */
const MAX_LINE = 65_536;

/** The state of a build as its events tell it; the renderers read it. */
export class Trace {
  readonly vertices = new Map<Digest, TracedVertex>();
  startedAt: Millis | undefined;
  at: Millis = 0;

  /** Takes an event in; returns the vertex it was about and, for output, the lines it completed. */
  accept(event: Event): { readonly vertex?: TracedVertex; readonly lines: readonly LogLine[] } {
    if ('at' in event) {
      this.startedAt ??= event.at;
      this.at = Math.max(this.at, event.at);
    }
    switch (event.type) {
      case 'build-started':
      case 'build-finished':
        return { lines: [] };
      case 'vertex':
        return { vertex: this.#declare(event.vertex, event.name), lines: [] };
      default:
        break;
    }
    const vertex = this.vertices.get(event.vertex);
    if (vertex === undefined) return { lines: [] };
    switch (event.type) {
      case 'vertex-started':
        vertex.state = 'running';
        vertex.error = '';
        vertex.intervals.push({ start: event.at, end: undefined });
        return { vertex, lines: [] };
      case 'vertex-completed':
        return { vertex, lines: complete(vertex, event) };
      case 'status':
        setStatus(vertex, event);
        return { vertex, lines: [] };
      case 'log':
        return { vertex, lines: addOutput(vertex, event) };
      case 'warning':
      case 'decision':
        return { vertex, lines: [] };
    }
  }

  #declare(digest: Digest, name: string): TracedVertex {
    const known = this.vertices.get(digest);
    if (known !== undefined) {
      known.name = name;
      return known;
    }
    const partial = (): Partial => ({ decoder: new StringDecoder('utf8'), text: '' });
    const vertex: TracedVertex = {
      digest,
      name,
      index: 0,
      intervals: [],
      state: 'declared',
      error: '',
      statuses: new Map(),
      tail: [],
      partial: [partial(), partial()],
    };
    this.vertices.set(digest, vertex);
    return vertex;
  }
}

/** Milliseconds a vertex ran, overlapping intervals counted once; an open one counts until `now`. */
export function runTime(vertex: TracedVertex, now: Millis): Millis {
  const spans = vertex.intervals
    .map((i) => ({ start: i.start, end: i.end ?? now }))
    .sort((a, b) => a.start - b.start);
  let total = 0;
  let until = -Infinity;
  for (const span of spans) {
    total += Math.max(0, span.end - Math.max(span.start, until));
    until = Math.max(until, span.end);
  }
  return total;
}

function complete(
  vertex: TracedVertex,
  event: { readonly at: Millis; readonly cached: boolean; readonly error?: string },
): readonly LogLine[] {
  const lines = vertex.partial.flatMap((p) => {
    const rest = p.text + p.decoder.end();
    p.text = '';
    return rest === '' ? [] : [lineOf(vertex, event.at, rest)];
  });
  keepTail(vertex, lines);
  for (const interval of vertex.intervals) interval.end ??= event.at;
  if (vertex.intervals.length === 0) vertex.intervals.push({ start: event.at, end: event.at });
  if (event.error !== undefined) {
    vertex.error = event.error;
    vertex.state = event.error.endsWith('context canceled') ? 'canceled' : 'error';
  } else vertex.state = event.cached ? 'cached' : 'done';
  return lines;
}

function setStatus(vertex: TracedVertex, event: VertexStatus): void {
  vertex.statuses.set(event.id, {
    id: event.id,
    startedAt: vertex.statuses.get(event.id)?.startedAt ?? event.at,
    at: event.at,
    current: event.current ?? 0,
    total: event.total,
    completed: event.completed,
  });
}

function addOutput(vertex: TracedVertex, event: VertexLog): readonly LogLine[] {
  const partial = vertex.partial[event.stream === 1 ? 0 : 1];
  const pieces = (partial.text + partial.decoder.write(Buffer.from(event.data))).split('\n');
  partial.text = pieces.pop() ?? '';
  if (partial.text.length > MAX_LINE) {
    pieces.push(partial.text);
    partial.text = '';
  }
  const lines = pieces.map((piece) => lineOf(vertex, event.at, piece));
  keepTail(vertex, lines);
  return lines;
}

function lineOf(vertex: TracedVertex, at: Millis, text: string): LogLine {
  const start = vertex.intervals.at(-1)?.start ?? at;
  return { sinceStart: at - start, text: neutralise(text) };
}

function keepTail(vertex: TracedVertex, lines: readonly LogLine[]): void {
  vertex.tail.push(...lines);
  if (vertex.tail.length > TAIL_LINES) vertex.tail.splice(0, vertex.tail.length - TAIL_LINES);
}
