import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, hexOf, isErrno } from '../base/index.ts';
import type { Decision, Event, EventSink } from '../events/index.ts';
import type { HistoryDb, StepRow } from '../ports/index.ts';

/** A sink that writes the steps of a build to the history as they end. */
export interface HistoryRecorder {
  readonly accept: EventSink;
  /** Where the full log of a step is, when it has said something. */
  logPath(vertex: Digest): string | undefined;
  /** Steps that were executed and steps that were cached. */
  counts(): { readonly executed: number; readonly cached: number };
}

type Open = { -readonly [K in keyof StepRow]?: StepRow[K] } & {
  name: string;
  /** The open log file; `lost` when the disk refused it: a build does not fail for its log. */
  file: number | 'none' | 'lost';
  logged: boolean;
};

/** Records the steps of one build; log files lie in `<logs>/<build>/`. */
export function recordHistory(
  history: HistoryDb,
  build: { readonly id: string; readonly logs: string },
): HistoryRecorder {
  const steps = new Map<Digest, Open>();
  const dir = join(build.logs, build.id);
  const counts = { executed: 0, cached: 0 };
  let made = false;
  /** Cached steps wait for the next executed one or the end of the build: sixty of them cost one transaction. */
  const cached = new Map<Digest, () => StepRow>();
  /** Rows of cached steps that were written, by what writes them anew. */
  const written = new Map<Digest, () => StepRow>();
  const flush = (...more: readonly StepRow[]): void => {
    const rows = [...cached.values()].map((row) => row());
    for (const [vertex, row] of cached) written.set(vertex, row);
    cached.clear();
    if (rows.length + more.length > 0) history.saveStep(build.id, ...rows, ...more);
  };
  const logPath = (vertex: Digest): string => {
    if (!made) mkdirSync(dir, { recursive: true, mode: 0o700 });
    made = true;
    return join(dir, `${hexOf(vertex).slice(0, 16)}.log`);
  };
  const append = (step: Open, vertex: Digest, data: Uint8Array): void => {
    if (step.file === 'lost') return;
    try {
      if (step.file === 'none') step.file = openSync(logPath(vertex), 'a', 0o600);
      step.logged = true;
      for (let at = 0; at < data.length; ) at += writeSync(step.file, data, at);
    } catch (e) {
      if (!isErrno(e, 'ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EIO')) throw e;
      step.file = 'lost';
    }
  };
  const decide = (vertex: Digest, step: Open, decision: Decision): void => {
    step.decision = decision;
    const row = written.get(vertex);
    if (row !== undefined) cached.set(vertex, row);
  };
  const complete = (event: Extract<Event, { type: 'vertex-completed' }>, step: Open): void => {
    const state =
      event.error === undefined
        ? event.cached
          ? 'cached'
          : 'done'
        : event.error.endsWith('context canceled')
          ? 'canceled'
          : 'error';
    if (typeof step.file === 'number') {
      closeSync(step.file);
      // A step may work in several spans of time: the next one appends.
      step.file = 'none';
    }
    if (!step.name.startsWith('[internal]')) counts[event.cached ? 'cached' : 'executed']++;
    const row = (): StepRow => ({
      vertex: event.vertex,
      name: step.name,
      ...(step.inputs === undefined || step.inputs.length === 0 ? {} : { inputs: step.inputs }),
      state,
      completedAt: event.at,
      ...(step.startedAt === undefined ? {} : { startedAt: step.startedAt }),
      ...(event.error === undefined ? {} : { error: event.error }),
      ...(step.decision === undefined ? {} : { decision: step.decision }),
      ...(step.logged ? { log: logPath(event.vertex) } : {}),
    });
    // Why a step was cached may be said after it was shown.
    if (state === 'cached') cached.set(event.vertex, row);
    else flush(row());
  };
  return {
    logPath: (vertex) => (steps.get(vertex)?.logged === true ? logPath(vertex) : undefined),
    counts: () => counts,
    accept: (event) => {
      if (event.type === 'build-finished') flush();
      if (event.type === 'build-started' || event.type === 'build-finished') return;
      if (event.type === 'vertex') {
        const known = steps.get(event.vertex);
        if (known === undefined)
          steps.set(event.vertex, {
            name: event.name,
            inputs: event.inputs,
            file: 'none',
            logged: false,
          });
        else known.name = event.name;
        return;
      }
      const step = steps.get(event.vertex);
      if (step === undefined) return;
      if (event.type === 'vertex-started') step.startedAt ??= event.at;
      else if (event.type === 'decision') decide(event.vertex, step, event.decision);
      else if (event.type === 'log') append(step, event.vertex, event.data);
      else if (event.type === 'vertex-completed') complete(event, step);
    },
  };
}
