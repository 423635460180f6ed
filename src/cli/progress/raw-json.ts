import type { Digest, GoJson } from '../../base/index.ts';
import { goJson, terminalJson } from '../../base/index.ts';
import type { Event, Millis, VertexWarning } from '../../events/index.ts';

/** Time as Go writes it (RFC 3339 with the nanoseconds that are there). */
export function goTime(at: Millis): string {
  const whole = Math.floor(at / 1000);
  const nanos = Math.round((at - whole * 1000) * 1e6);
  const [seconds, rest] = nanos >= 1e9 ? [whole + 1, nanos - 1e9] : [whole, nanos];
  const base = new Date(seconds * 1000).toISOString().slice(0, 19);
  const fraction = String(rest).padStart(9, '0').replace(/0+$/, '');
  return `${base}${fraction === '' ? '' : `.${fraction}`}Z`;
}

interface Known {
  readonly name: string;
  readonly inputs: readonly Digest[];
  readonly group:
    | { readonly id: string; readonly name: string; readonly weak: boolean }
    | undefined;
  started: Millis | undefined;
  readonly statusStarted: Map<string, Millis>;
}

/** Progress as lines of JSON in the shape of BuildKit's status messages (`client.SolveStatus`). */
export class RawJsonProgress {
  readonly #known = new Map<Digest, Known>();

  /** The line for an event, ended by a newline; empty for events that BuildKit's stream has no place for. */
  accept(event: Event): string {
    const message = this.#message(event);
    return message === undefined ? '' : `${terminalJson(goJson(message))}\n`;
  }

  #message(event: Event): GoJson | undefined {
    switch (event.type) {
      case 'build-started':
      case 'build-finished':
      case 'decision':
        return undefined;
      case 'vertex':
        this.#known.set(event.vertex, {
          name: event.name,
          inputs: event.inputs,
          group: event.progressGroup,
          started: this.#known.get(event.vertex)?.started,
          statusStarted: new Map(),
        });
        return { vertexes: [this.#vertex(event.vertex, {})] };
      case 'vertex-started': {
        const known = this.#known.get(event.vertex);
        if (known !== undefined) known.started = event.at;
        return { vertexes: [this.#vertex(event.vertex, {})] };
      }
      case 'vertex-completed': {
        const known = this.#known.get(event.vertex);
        if (known !== undefined) known.started ??= event.at;
        const end = {
          completed: goTime(event.at),
          cached: event.cached ? true : undefined,
          error: event.error,
        };
        return { vertexes: [this.#vertex(event.vertex, end)] };
      }
      case 'status':
        return { statuses: [this.#status(event)] };
      case 'log':
        return {
          logs: [
            {
              vertex: event.vertex,
              stream: event.stream,
              data: Buffer.from(event.data).toString('base64'),
              timestamp: goTime(event.at),
            },
          ],
        };
      case 'warning':
        return { warnings: [warning(event)] };
    }
  }

  #vertex(digest: Digest, end: { readonly [key: string]: GoJson | undefined }): GoJson {
    const known = this.#known.get(digest);
    const group = known?.group;
    return {
      digest,
      inputs: known === undefined || known.inputs.length === 0 ? undefined : known.inputs,
      name: known?.name ?? '',
      started: known?.started === undefined ? undefined : goTime(known.started),
      completed: end['completed'],
      cached: end['cached'],
      error: end['error'],
      progressGroup:
        group === undefined
          ? undefined
          : { id: group.id, name: group.name, weak: group.weak ? true : undefined },
    };
  }

  #status(event: Extract<Event, { type: 'status' }>): GoJson {
    const started = this.#known.get(event.vertex)?.statusStarted;
    const startedAt = started?.get(event.id) ?? event.at;
    started?.set(event.id, startedAt);
    return {
      id: event.id,
      vertex: event.vertex,
      total: event.total,
      current: event.current ?? 0,
      timestamp: goTime(event.at),
      started: goTime(startedAt),
      completed: event.completed ? goTime(event.at) : undefined,
    };
  }
}

function warning(event: VertexWarning): GoJson {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    vertex: event.vertex,
    level: 1,
    short: base64(`${event.rule}: ${event.message}`),
    detail: event.detail?.map(base64),
    url: event.url,
    sourceInfo: event.file === undefined ? undefined : { filename: event.file },
    range: event.lines?.map(([first, last]) => ({ start: { line: first }, end: { line: last } })),
  };
}
