import { type Digest, err, Inflight, ok, type Result } from '../base/index.ts';
import { recordDigest } from '../cachekey/index.ts';
import type { Event } from '../events/index.ts';
import type { LayerChain, RecordId } from '../ports/index.ts';
import type { BuildRun } from './build-run.ts';
import type { Edge } from './edge.ts';
import { Slots } from './slots.ts';
import type { Execution, SolverDeps, StepExecutor } from './types.ts';
import type { VertexWork } from './vertex-work.ts';

/** A build that waits for an execution: what happens there is shown, and what comes out is held, for each. */
interface Participant {
  /** The vertex of the solve it waits for; two outputs of one vertex take part once. */
  readonly work: VertexWork;
  readonly emit: (event: Event) => void;
  readonly hold: (chain: LayerChain) => void;
}

interface Flight {
  readonly participants: Set<Participant>;
  readonly ended: Promise<unknown>;
}

/** One execution as it is handed down. */
interface Run {
  readonly build: BuildRun;
  readonly edge: Edge;
  /** Aborted when no build waits any more. */
  readonly signal: AbortSignal;
  readonly participants: ReadonlySet<Participant>;
  readonly decided: () => void;
}

/** The build on whose behalf a shared execution waited stopped before the step began; another one may go on. */
class OwnerStopped extends Error {}

/** Executes steps: once for all builds of this process that need them at the same time, once among processes. */
export class Executor implements StepExecutor {
  readonly #deps: SolverDeps;
  readonly #slots: Slots;
  readonly #inflight = new Inflight<string, Execution>();
  readonly #flights = new Map<string, Flight>();
  #forced = 0;

  constructor(deps: SolverDeps) {
    this.#deps = deps;
    this.#slots = new Slots(deps.maxParallel);
  }

  async execute(build: BuildRun, edge: Edge, decided: () => void): Promise<Result<LayerChain>> {
    const { work } = edge;
    for (;;) {
      if (work.outputs !== undefined) return ok(takeOutput(edge));
      const execution = await this.#join(build, edge, decided);
      if (execution === undefined) continue;
      if (execution.kind === 'failed') {
        // Two outputs of one vertex wait for one execution: its failure is reported once.
        if (build.failure !== execution.failure) build.fail(work.vertex, execution.failure);
        return err(execution.failure);
      }
      if (execution.kind === 'found') {
        // Somebody else did it and its record answers; when it no longer does, this build goes on by itself.
        if (edge.identity !== '' || (await edge.requery())) return ok(edge.chain);
        continue;
      }
      if (work.executed(execution)) build.progress.completed(work.vertex.digest);
      return ok(takeOutput(edge));
    }
  }

  async #join(build: BuildRun, edge: Edge, decided: () => void): Promise<Execution | undefined> {
    // An execution with caching off is nobody else's: others would take it for their own.
    const { work } = edge;
    if (edge.forced) work.forcedKey ??= `forced ${++this.#forced}`;
    const key = work.forcedKey ?? edge.workKey();
    const self: Participant = {
      work,
      emit: (event) => build.emit(retarget(event, work.vertex.digest)),
      hold: (chain) => build.hold(chain),
    };
    const joined = this.#flights.get(key);
    if (joined !== undefined && ![...joined.participants].some((each) => each.work === work)) {
      joined.participants.add(self);
      decided();
      build.progress.started(work.vertex.digest);
    }
    try {
      return await this.#inflight.do(key, build.work, (signal) =>
        this.#start(key, { build, edge, signal, participants: new Set([self]), decided }),
      );
    } catch (e) {
      if (e instanceof OwnerStopped && !build.starts.aborted) return undefined;
      // What is being ended has processes and mounts to clean up: the last build that leaves waits for that.
      const flight = this.#flights.get(key);
      flight?.participants.delete(self);
      if (flight?.participants.size === 0) await flight.ended;
      throw e;
    }
  }

  #start(key: string, run: Run & { readonly participants: Set<Participant> }): Promise<Execution> {
    const running = this.#run(run).finally(() => this.#flights.delete(key));
    const ended = running.catch(() => undefined);
    this.#flights.set(key, { participants: run.participants, ended });
    return running;
  }

  async #run(run: Run): Promise<Execution> {
    const { build, edge, signal } = run;
    const begin = AbortSignal.any([signal, build.starts]);
    await using held = new AsyncDisposableStack();
    try {
      if ((await this.#slotAndLock(run, begin, held)) === 'found') return { kind: 'found' };
      begin.throwIfAborted();
    } catch (e) {
      if (build.starts.aborted && !signal.aborted) throw new OwnerStopped('stopped', { cause: e });
      throw e;
    }
    run.decided();
    build.progress.started(edge.work.vertex.digest);
    return await this.#perform(run);
  }

  /**
   * A slot of this process and the lock among processes. While another process does the work the slot is given back; when
   * that one is done, its result is looked for first.
   */
  async #slotAndLock(
    { build, edge }: Run,
    signal: AbortSignal,
    held: AsyncDisposableStack,
  ): Promise<'mine' | 'found'> {
    const key = edge.workKey();
    const weight = (): number => build.weight(edge.work.vertex.digest);
    const slot = await this.#slots.acquire(signal, weight);
    if (edge.work.map.volatile === true) {
      // Its key holds for this build only: no other process can be at it.
      held.use(slot);
      return 'mine';
    }
    const lock = await this.#deps.locks.tryLock(key);
    if (lock !== undefined) {
      held.use(slot);
      held.use(lock);
    } else {
      slot[Symbol.dispose]();
      held.use(await this.#deps.locks.lock(key, signal));
      if (await edge.requery()) return 'found';
      held.use(await this.#slots.acquire(signal, weight));
    }
    // Another process may have finished between the last look and the lock.
    return (await edge.requery()) ? 'found' : 'mine';
  }

  async #perform({ build, edge, signal, participants }: Run): Promise<Execution> {
    const { work } = edge;
    const emit = (event: Event): void => {
      for (const participant of participants) participant.emit(event);
    };
    const { clock } = this.#deps;
    const from = clock.now();
    const ran = await work.driver.run(
      { signal, emit, vertex: work.vertex },
      edge.inputs.map((input) => input.chain),
    );
    if (!ran.ok) return { kind: 'failed', failure: ran.error };
    const costMs = clock.now() - from;
    for (const chain of ran.value) {
      for (const participant of participants) if (chain !== undefined) participant.hold(chain);
    }
    const records = ran.value.map((chain, output) =>
      chain === undefined ? [] : this.#save(edge, output, { chain, costMs }),
    );
    build.trace(edge, costMs, records.flat()[0]);
    return { kind: 'done', outputs: ran.value, records };
  }

  /** Stores one output below all known keys of the inputs; nothing when an input can never be found again. */
  #save(
    edge: Edge,
    output: number,
    { chain, costMs }: { readonly chain: LayerChain; readonly costMs: number },
  ): readonly RecordId[] {
    const { cache, clock } = this.#deps;
    const { map } = edge.work;
    if (map.volatile === true) return [];
    const result = { chain, createdAt: clock.now(), costMs };
    const inputs = edge.recordInputs();
    if (inputs.some((alternatives) => alternatives.length === 0)) return [];
    const digests = [map.digest, ...(map.alternatives ?? [])];
    return digests.map((digest) => {
      const record = cache.ensureRecord(recordDigest(digest, output), inputs);
      cache.addResult(record, result);
      return record;
    });
  }
}

/** Settles an edge with what the execution of its vertex brought. */
export function takeOutput(edge: Edge): LayerChain {
  const { work, output } = edge;
  const chain = work.outputs?.[output];
  if (chain === undefined) throw new Error(`"${work.name}" gave no output ${output}`);
  edge.settle(chain, work.records[output] ?? [], `w${edge.workKey()}@${output}`);
  return chain;
}

/** An event of a shared execution as a build sees it whose own vertex has another digest. */
function retarget(event: Event, vertex: Digest): Event {
  return 'vertex' in event && event.vertex !== vertex ? { ...event, vertex } : event;
}
