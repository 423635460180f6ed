import { type Digest, err, type Failure, ok, type Result } from '../base/index.ts';
import type { Decision, Event, EventSink, SourceAnswer } from '../events/index.ts';
import { type Definition, keptBytes, type OpInput, type Vertex } from '../llb/index.ts';
import { isLocalLayer, type LayerChain, type Lease, type RecordId } from '../ports/index.ts';
import { Edge } from './edge.ts';
import { explainMiss } from './explain.ts';
import { mainStep, packListings, traceInputs } from './miss.ts';
import { Progress } from './progress.ts';
import { LOCAL_SOURCE } from './sources.ts';
import { NO_TEXTS, type StepTexts, stepIdentity } from './step-identity.ts';
import type { SolveOptions, SolverDeps, StepExecutor } from './types.ts';
import { VertexWork } from './vertex-work.ts';

/** One solve: its edges, its progress, and what stops it. */
export class BuildRun {
  readonly deps: SolverDeps;
  readonly progress: Progress;
  readonly texts: StepTexts;
  readonly emit: EventSink;
  /** Aborted when nothing new may begin. */
  readonly starts: AbortSignal;
  /** Aborted when what runs has to end. */
  readonly work: AbortSignal;
  /** The first failure. */
  failure: Failure | undefined;
  readonly #executor: StepExecutor;
  readonly #definition: Definition;
  readonly #options: SolveOptions;
  readonly #lease: Lease;
  readonly #stopStarts = new AbortController();
  readonly #stopWork = new AbortController();
  readonly #vertices = new Map<Digest, VertexWork>();
  readonly #edges = new Map<string, Edge>();
  readonly #decided = new Set<Digest>();
  readonly #held = new Set<string>();
  readonly #pending = new Set<Promise<unknown>>();
  #weights: ReadonlyMap<Digest, number> | undefined;
  #identities: ReadonlySet<string> | undefined;

  constructor(
    deps: SolverDeps,
    executor: StepExecutor,
    definition: Definition,
    options: SolveOptions,
    lease: Lease,
  ) {
    this.deps = deps;
    this.#executor = executor;
    this.#definition = definition;
    this.#options = options;
    this.#lease = lease;
    this.texts = options.texts ?? NO_TEXTS;
    this.emit = (event: Event) => options.emit(event);
    this.progress = new Progress(this.emit, deps.clock);
    this.starts = AbortSignal.any([options.signal, this.#stopStarts.signal]);
    this.work = AbortSignal.any([options.signal, this.#stopWork.signal]);
  }

  /** Solves one output; the vertices it needs are looked at in topological order, so that no chain is too long. */
  async solve(result: OpInput): Promise<Result<Edge>> {
    const needed = reachable(this.#definition, result);
    for (const vertex of needed) this.progress.declare(vertex);
    const edges = needed.flatMap((vertex) => this.#edgesOf(vertex));
    const target = this.edge(result);
    const looked = await Promise.all([...edges, target].map((edge) => edge.fast()));
    const failed = looked.find((each) => !each.ok);
    if (failed?.ok === false) return failed;
    const complete = await target.complete();
    if (!complete.ok) return complete;
    this.#decideImplied();
    return ok(target);
  }

  /** The edge of an output, made once. */
  edge(input: OpInput): Edge {
    const key = `${input.digest}@${input.index}`;
    let edge = this.#edges.get(key);
    if (edge === undefined) {
      const work = this.vertex(input.digest);
      edge = new Edge(
        this,
        work,
        input.index,
        work.vertex.op.inputs.map((each) => this.edge(each)),
      );
      this.#edges.set(key, edge);
    }
    return edge;
  }

  vertex(digest: Digest): VertexWork {
    let work = this.#vertices.get(digest);
    if (work === undefined) {
      const vertex = this.#definition.vertices.get(digest);
      if (vertex === undefined) throw new Error(`the definition lacks vertex ${digest}`);
      work = new VertexWork(this, vertex);
      this.#vertices.set(digest, work);
    }
    return work;
  }

  /** Executes a step that no record answers for. */
  async execute(edge: Edge): Promise<Result<LayerChain>> {
    if (edge.work.map.volatile !== true) await this.deps.tracesFromElsewhere?.(this.work);
    const { cause, nearest } = explainMiss(edge, {
      db: this.deps.traces,
      texts: this.texts,
      isPresent: (identity) => this.#isPresent(identity),
    });
    const execution = this.#executor.execute(this, edge, () => {
      // A local directory is read in every build: that is no cause of anything.
      if (edge.work.map.volatile === true) return;
      edge.work.cause = cause;
      this.#decide(edge.work.vertex, {
        outcome: edge.forced ? 'forced' : 'miss',
        by: edge.forced ? 'none' : edge.contents.some(Boolean) ? 'content' : 'definition',
        key: edge.recordDigest,
        source: LOCAL_SOURCE,
        reason: cause.reason,
        ...(nearest === undefined ? {} : { nearest }),
        ...this.#asked(edge),
        cause: cause.root,
      });
    });
    return await this.track(execution);
  }

  /** A record answered for a step. */
  hit(edge: Edge, by: 'definition' | 'content'): void {
    const { vertex } = edge.work;
    this.progress.started(vertex.digest);
    const { source = LOCAL_SOURCE } = edge;
    if (source !== LOCAL_SOURCE) this.progress.from(vertex.digest, source);
    this.progress.completed(vertex.digest, { cached: true });
    this.#decide(vertex, {
      outcome: 'hit',
      by,
      key: edge.recordDigest,
      source,
      ...this.#asked(edge),
      reason:
        by === 'definition'
          ? 'the step and everything above it are unchanged'
          : 'the step and the files it uses are unchanged',
    });
  }

  /** Ends the build with a failure of one step; later ones of the same build are its consequences. */
  fail(vertex: Vertex, failure: Failure): void {
    this.progress.started(vertex.digest);
    this.progress.completed(vertex.digest, { cached: false, error: failure.message });
    this.failure ??= failure;
    const reason = new Error(`another step failed: ${failure.message}`);
    this.#stopStarts.abort(reason);
    if (this.#options.onFailure !== 'finish-running') this.#stopWork.abort(reason);
  }

  /** Lets `settled` wait for work of this build, however the wait for its outcome ends. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#pending.add(work);
    const done = (): unknown => this.#pending.delete(work);
    work.then(done, done);
    return work;
  }

  /** Waits until nothing of this build runs any more. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
  }

  /** Keeps layers from being removed while this build may need them. */
  hold(chain: LayerChain): void {
    const fresh = chain.filter(({ id }) => !isLocalLayer(id) && !this.#held.has(id));
    if (fresh.length === 0) return;
    this.#lease.add(...fresh.map(({ id }) => `layer:${id}`));
    for (const { id } of fresh) this.#held.add(id);
  }

  /** Stores what later builds explain their misses by. */
  trace(edge: Edge, costMs: number, record?: RecordId): void {
    const { vertex, map } = edge.work;
    if (map.volatile === true) return;
    const step = stepIdentity(vertex, this.texts);
    const inputs = traceInputs(edge, this.texts);
    const trace = {
      step,
      below: mainStep(step, inputs),
      project: this.texts.project,
      ...(record === undefined ? {} : { record }),
      key: edge.workKey(),
      op: map.digest,
      ...(map.describes === undefined ? {} : { describes: map.describes }),
      pb: keptBytes(vertex),
      inputs,
      at: this.deps.clock.now(),
      costMs,
    };
    this.deps.traces.remember(trace, packListings(edge));
  }

  /** What the vertices without inputs turned out to be. */
  sources(): ReadonlyMap<Digest, string> {
    const sources = new Map<Digest, string>();
    for (const { vertex, map } of this.#vertices.values())
      if (vertex.op.inputs.length === 0 && map.describes !== undefined)
        sources.set(vertex.digest, map.describes);
    return sources;
  }

  /** Milliseconds of work from the start of a vertex to the end of the build, by earlier builds' durations. */
  weight(digest: Digest): number {
    this.#weights ??= this.#measure();
    return this.#weights.get(digest) ?? 0;
  }

  #measure(): ReadonlyMap<Digest, number> {
    const weights = new Map<Digest, number>();
    for (const vertex of [...this.#definition.vertices.values()].reverse()) {
      const [last] = this.deps.traces.traces(stepIdentity(vertex, this.texts), 1);
      // A step never seen counts a little, so that among unknown steps the longest chain goes first.
      const own = (weights.get(vertex.digest) ?? 0) + Math.max(1, last?.costMs ?? 1);
      weights.set(vertex.digest, own);
      for (const { digest } of vertex.op.inputs) {
        weights.set(digest, Math.max(weights.get(digest) ?? 0, own));
      }
    }
    return weights;
  }

  #isPresent(identity: string): boolean {
    const { vertices } = this.#definition;
    this.#identities ??= new Set([...vertices.values()].map((v) => stepIdentity(v, this.texts)));
    return this.#identities.has(identity);
  }

  #edgesOf(vertex: Vertex): Edge[] {
    return vertex.op.inputs.map((input) => this.edge(input));
  }

  #decide(vertex: Vertex, decision: Decision): void {
    this.#decided.add(vertex.digest);
    this.emit({ type: 'decision', vertex: vertex.digest, decision });
  }

  #decideImplied(): void {
    const edges = new Map([...this.#edges.values()].map((edge) => [edge.work.vertex, edge]));
    const implied = [...this.progress.impliedCached()].flatMap((vertex) => {
      const edge = edges.get(vertex);
      return edge === undefined || this.#decided.has(vertex.digest) ? [] : [edge];
    });
    const sources = this.#impliedSources(implied);
    for (const edge of implied)
      this.#decide(edge.work.vertex, {
        outcome: 'hit',
        by: 'definition',
        key: edge.recordDigest,
        source: sources.get(edge) ?? LOCAL_SOURCE,
        ...this.#asked(edge),
        reason: 'a later step was found, so its result was not needed',
      });
  }

  /**
   * Where the results would have been taken from that were not needed: by their own records where caches were given, else
   * from where the step above them was.
   */
  #impliedSources(implied: readonly Edge[]): ReadonlyMap<Edge, string> {
    const sources = new Map<Edge, string>();
    for (const edge of this.#edges.values())
      if (edge.identity !== '') sources.set(edge, edge.source ?? LOCAL_SOURCE);
    const above = new Map<Edge, Edge[]>();
    for (const edge of this.#edges.values())
      for (const input of edge.inputs) above.set(input, [...(above.get(input) ?? []), edge]);
    // Steps stand behind their inputs: from the last one on, what is above a step is known.
    for (const edge of implied.toReversed()) {
      const found = this.deps.sources?.given === true ? edge.foundAt() : undefined;
      const user = above.get(edge)?.find((each) => sources.has(each));
      const inherited = user === undefined ? undefined : sources.get(user);
      sources.set(edge, found === undefined ? (inherited ?? LOCAL_SOURCE) : found);
    }
    return sources;
  }

  #asked(edge: Edge): { readonly asked?: readonly SourceAnswer[] } {
    const asked = edge.forced ? [] : (this.deps.sources?.answers(edge.keys) ?? []);
    return asked.length === 0 ? {} : { asked };
  }

  /** What to report when waiting ended with a throw. */
  outcome(thrown: unknown): Result<never> {
    if (this.failure !== undefined) return err(this.failure);
    throw thrown;
  }
}

/** Vertices that `result` needs, inputs first. */
function reachable(definition: Definition, result: OpInput): Vertex[] {
  const needed = new Set<Digest>([result.digest]);
  const order = [...definition.vertices.values()];
  for (const vertex of [...order].reverse()) {
    if (!needed.has(vertex.digest)) continue;
    for (const input of vertex.op.inputs) needed.add(input.digest);
  }
  return order.filter((vertex) => needed.has(vertex.digest) && vertex.op.body.kind !== 'terminal');
}
