import type { Digest } from '../base/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { Clock } from '../ports/index.ts';

interface Shown {
  readonly vertex: Vertex;
  state: 'declared' | 'started' | 'completed';
  /** Whether the step is known to be served from the cache (by its own result or by a later step's). */
  cached: boolean;
}

/** Name of a step as people see it. */
export function nameOf(vertex: Vertex): string {
  return vertex.metadata.description['llb.customname'] ?? vertex.digest;
}

/**
 * The order rules of BuildKit's status stream (solver/progress.go): every vertex is announced before anything is said of
 * it, inputs first; a vertex that starts shows its inputs that never started as cached; what is open at the end is closed
 * as cancelled.
 */
export class Progress {
  readonly #emit: EventSink;
  readonly #clock: Clock;
  readonly #shown = new Map<Digest, Shown>();

  constructor(emit: EventSink, clock: Clock) {
    this.#emit = emit;
    this.#clock = clock;
  }

  declare(vertex: Vertex): void {
    if (this.#shown.has(vertex.digest)) return;
    this.#shown.set(vertex.digest, { vertex, state: 'declared', cached: false });
    const { progressGroup } = vertex.metadata;
    this.#emit({
      type: 'vertex',
      vertex: vertex.digest,
      name: nameOf(vertex),
      inputs: vertex.op.inputs.map((input) => input.digest),
      ...(progressGroup === undefined ? {} : { progressGroup }),
    });
  }

  /** May be called again for a vertex that completed: it works in several spans of time. */
  started(digest: Digest): void {
    const shown = this.#of(digest);
    if (shown.state === 'started') return;
    const at = this.#clock.now();
    this.#cacheInputs(shown.vertex, at);
    shown.state = 'started';
    this.#emit({ type: 'vertex-started', vertex: digest, at });
  }

  completed(
    digest: Digest,
    how: { readonly cached: boolean; readonly error?: string } = { cached: false },
  ): void {
    const shown = this.#of(digest);
    shown.state = 'completed';
    shown.cached = how.cached;
    this.#emit({ type: 'vertex-completed', vertex: digest, at: this.#clock.now(), ...how });
  }

  /** Says of a step that is about to be shown as cached which cache has it. */
  from(digest: Digest, source: string): void {
    const at = this.#clock.now();
    this.#emit({ type: 'status', vertex: digest, id: `from ${source}`, at, completed: true });
  }

  /** Vertices that were shown as cached because a later step needed them no more. */
  *impliedCached(): Iterable<Vertex> {
    for (const shown of this.#shown.values()) if (shown.cached) yield shown.vertex;
  }

  /** Closes what is open. */
  finish(): void {
    for (const { vertex, state } of this.#shown.values()) {
      if (state !== 'started') continue;
      this.completed(vertex.digest, { cached: false, error: 'context canceled' });
    }
  }

  /** Iterative, because a chain of steps may be longer than the stack; deepest inputs first. */
  #cacheInputs(vertex: Vertex, at: number): void {
    const found: Shown[] = [];
    const pending = [vertex];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const input of next.op.inputs) {
        const shown = this.#shown.get(input.digest);
        if (shown?.state !== 'declared') continue;
        shown.state = 'completed';
        shown.cached = true;
        found.push(shown);
        pending.push(shown.vertex);
      }
    }
    for (const { vertex: input } of found.reverse()) {
      this.#emit({ type: 'vertex-started', vertex: input.digest, at });
      this.#emit({ type: 'vertex-completed', vertex: input.digest, at, cached: true });
    }
  }

  #of(digest: Digest): Shown {
    const shown = this.#shown.get(digest);
    if (shown === undefined) throw new Error(`vertex ${digest} was not declared`);
    return shown;
  }
}
