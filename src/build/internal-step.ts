import { type Digest, type Result, sha256 } from '../base/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { Clock } from '../ports/index.ts';

/** Reports what happens inside a step of the build's own. */
export interface InternalStep {
  readonly vertex: Digest;
  /** A line below the step; bytes where they are given. */
  status(id: string, progress?: { readonly current?: number; readonly total?: number }): void;
  /** The line is complete. */
  done(id: string, progress?: { readonly current?: number; readonly total?: number }): void;
}

/** What a step reports to. */
export interface StepReport {
  readonly emit: EventSink;
  readonly clock: Clock;
}

/** Runs a step that is no op of the graph (`[internal] load …`, `exporting to image`) with its events around it. */
export async function internalStep<T>(
  report: StepReport,
  name: string,
  work: (step: InternalStep) => Promise<Result<T>>,
): Promise<Result<T>> {
  const { emit, clock } = report;
  const vertex = sha256(name);
  const line = (
    id: string,
    completed: boolean,
    progress: { readonly current?: number; readonly total?: number },
  ): void => emit({ type: 'status', vertex, id, at: clock.now(), completed, ...progress });
  emit({ type: 'vertex', vertex, name, inputs: [] });
  emit({ type: 'vertex-started', vertex, at: clock.now() });
  const end = (error?: string): void =>
    emit({
      type: 'vertex-completed',
      vertex,
      at: clock.now(),
      cached: false,
      ...(error === undefined ? {} : { error }),
    });
  try {
    const result = await work({
      vertex,
      status: (id, progress = {}) => line(id, false, progress),
      done: (id, progress = {}) => line(id, true, progress),
    });
    end(result.ok ? undefined : messageOf(result.error));
    return result;
  } catch (e) {
    end(e instanceof Error && e.name === 'AbortError' ? 'context canceled' : String(e));
    throw e;
  }
}

/** As `internalStep`, for work that wants a vertex of a graph to report to. */
export async function internalVertex<T>(
  report: StepReport,
  name: string,
  work: (step: InternalStep & { readonly op: Vertex }) => Promise<Result<T>>,
): Promise<Result<T>> {
  return await internalStep(report, name, async (step) => {
    const op: Vertex = {
      digest: step.vertex,
      op: { inputs: [], body: { kind: 'terminal' } },
      pb: new Uint8Array(),
      metadata: {
        description: { 'llb.customname': name },
        ignoreCache: false,
        caps: [],
        spans: [],
      },
    };
    return await work({ ...step, op });
  });
}

/** The error of a result in this program is a `Failure`; anything else prints as it is. */
function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error
    ? String(error.message)
    : String(error);
}
