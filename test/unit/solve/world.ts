import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, err, failure, ok, sha256 } from '../../../src/base/index.ts';
import { openStateDb, type StateDb } from '../../../src/cachedb/index.ts';
import type { Event } from '../../../src/events/index.ts';
import type { Definition, OpInput, Vertex } from '../../../src/llb/index.ts';
import type { CacheMap, LayerChain, LayerId, OpDriver } from '../../../src/ports/index.ts';
import {
  createSolver,
  type PlannedStep,
  type Solution,
  type Solver,
} from '../../../src/solve/index.ts';

export type Files = Readonly<Record<string, string>>;

/** A step of the small language that these tests build with. */
export interface FakeStep {
  readonly name: string;
  /** What stands in the op itself; the name when absent. */
  readonly op?: string;
  readonly inputs?: readonly {
    readonly step: string;
    readonly select?: readonly string[];
    readonly output?: number;
  }[];
  readonly alternatives?: readonly string[];
  readonly volatile?: string;
  readonly ignoreCache?: boolean;
  readonly makes: (inputs: readonly Files[]) => Files | readonly Files[];
  /** Runs while the step executes. */
  readonly during?: (signal: AbortSignal) => Promise<void>;
  readonly fails?: string;
}

/** Makes a definition of steps, the last being the result. */
export function define(steps: readonly FakeStep[]): Definition {
  const vertices = new Map<Digest, Vertex>();
  const digests = new Map<string, Digest>();
  let result: OpInput | undefined;
  for (const step of steps) {
    const inputs = (step.inputs ?? []).map((input) => ({
      digest: digests.get(input.step) ?? sha256('missing'),
      index: input.output ?? 0,
    }));
    const text = JSON.stringify([step.name, step.op ?? step.name, step.volatile ?? '', inputs]);
    const digest = sha256(text);
    digests.set(step.name, digest);
    vertices.set(digest, {
      digest,
      op: { inputs, body: { kind: 'merge', merge: { inputs: [] } } },
      pb: Buffer.from(text),
      metadata: {
        description: { 'llb.customname': step.name },
        ignoreCache: step.ignoreCache ?? false,
        caps: [],
        spans: [],
      },
    });
    result = { digest, index: 0 };
  }
  return result === undefined ? { vertices } : { vertices, result };
}

/** A temporary store with a solver whose steps are plain functions from files to files; counts what happens. */
export class World implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-solve-'));
  readonly db: StateDb;
  readonly executed: string[] = [];
  readonly hashed: string[] = [];
  readonly asked: string[] = [];
  readonly events: Event[] = [];
  readonly lost = new Set<string>();
  /** Files behind layer ids. */
  readonly trees = new Map<string, Files>();
  #now = 1000;
  #layers = 0;
  #steps: ReadonlyMap<string, FakeStep> = new Map();
  readonly #maxParallel: number;
  #solver: Solver | undefined;

  constructor(options: { readonly maxParallel?: number } = {}) {
    this.#maxParallel = options.maxParallel ?? 4;
    const db = openStateDb({ path: join(this.dir, 'state.db'), clock: { now: () => this.#now++ } });
    if (!db.ok) throw new Error(db.error.message);
    this.db = db.value;
  }

  [Symbol.dispose](): void {
    this.db.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Solves the steps; counts start anew. */
  async build(
    steps: readonly FakeStep[],
    options: {
      readonly signal?: AbortSignal;
      readonly onFailure?: 'cancel' | 'finish-running';
    } = {},
  ): Promise<Solution> {
    this.reset();
    return await this.join(steps, options);
  }

  /** Plans the steps; counts start anew. */
  async plan(steps: readonly FakeStep[]): Promise<readonly PlannedStep[]> {
    this.reset();
    this.#steps = new Map(steps.map((step) => [step.name, step]));
    const planned = await this.solver().plan(define(steps), {
      signal: new AbortController().signal,
      emit: (event) => this.events.push(event),
    });
    if (!planned.ok) throw new Error(planned.error.message);
    return planned.value;
  }

  reset(): void {
    for (const list of [this.executed, this.hashed, this.asked, this.events]) list.length = 0;
  }

  /** As build, keeping the counts and sharing what is in flight. */
  async join(
    steps: readonly FakeStep[],
    options: {
      readonly signal?: AbortSignal;
      readonly onFailure?: 'cancel' | 'finish-running';
    } = {},
  ): Promise<Solution> {
    this.#steps = new Map(steps.map((step) => [step.name, step]));
    const solved = await this.solver().solve(define(steps), {
      signal: options.signal ?? new AbortController().signal,
      emit: (event) => this.events.push(event),
      ...(options.onFailure === undefined ? {} : { onFailure: options.onFailure }),
    });
    if (!solved.ok) throw new Error(solved.error.message);
    return solved.value;
  }

  solver(): Solver {
    return (this.#solver ??= createSolver({
      cache: this.db.cache,
      traces: this.db.traces,
      locks: this.db.locks,
      leases: this.db.leases,
      clock: { now: () => this.#now++ },
      resolver: (vertex) => this.#driver(vertex),
      available: (chain) => Promise.resolve(chain.every(({ id }) => !this.lost.has(id))),
      maxParallel: this.#maxParallel,
    }));
  }

  files(chain: LayerChain): Files {
    return this.trees.get(chain.at(-1)?.id ?? '') ?? {};
  }

  /** Outcome, way and reason of each decision by step. */
  decisions(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const event of this.events) {
      if (event.type !== 'decision') continue;
      const { outcome, by, reason } = event.decision;
      found[this.nameOf(event.vertex)] = `${outcome} ${by}: ${reason}`;
    }
    return found;
  }

  nameOf(vertex: Digest): string {
    const declared = this.events.find((e) => e.type === 'vertex' && e.vertex === vertex);
    return declared?.type === 'vertex' ? declared.name : vertex;
  }

  #driver(vertex: Vertex): OpDriver {
    const name = vertex.metadata.description['llb.customname'] ?? '';
    const step = this.#steps.get(name);
    if (step === undefined) throw new Error(`no step ${name}`);
    return {
      cacheMap: () => {
        this.asked.push(name);
        return Promise.resolve(ok(cacheMapOf(step)));
      },
      contentKey: (_context, index, input) => {
        this.hashed.push(`${name}<${step.inputs?.[index]?.step ?? '?'}`);
        const files = this.files(input);
        const paths = step.inputs?.[index]?.select ?? [];
        return Promise.resolve(
          ok(sha256(JSON.stringify(paths.map((path) => files[path] ?? null)))),
        );
      },
      run: async (context, inputs) => {
        this.executed.push(name);
        await step.during?.(context.signal);
        context.signal.throwIfAborted();
        if (step.fails !== undefined) return err(failure('SB001', 1, step.fails));
        const made = step.makes(inputs.map((input) => this.files(input)));
        const outputs = Array.isArray(made) ? (made as readonly Files[]) : [made as Files];
        return ok(outputs.map((files) => [...(inputs[0] ?? []), this.#layer(files)]));
      },
    };
  }

  #layer(files: Files): LayerChain[number] {
    const id = `new:${++this.#layers}` as LayerId;
    this.trees.set(id, files);
    return { id, createdAt: 1 };
  }
}

function cacheMapOf(step: FakeStep): CacheMap {
  const text = step.volatile ?? `op ${step.op ?? step.name}`;
  return {
    digest: sha256(text),
    deps: (step.inputs ?? []).map(({ select }) =>
      select === undefined
        ? { hasContentKey: false }
        : { selector: sha256(JSON.stringify(select)), hasContentKey: true },
    ),
    ...(step.alternatives === undefined
      ? {}
      : { alternatives: step.alternatives.map((a) => sha256(a)) }),
    ...(step.volatile === undefined ? {} : { volatile: true }),
    describes: step.op ?? step.name,
  };
}

let builds = 0;

/** A local directory: its key is another one in every build. */
export function context(files: Files): FakeStep {
  return { name: 'context', volatile: `session ${++builds}`, makes: () => files };
}

/** A base image. */
export function image(
  name: string,
  files: Files = {},
  alternatives: readonly string[] = [],
): FakeStep {
  return { name, alternatives, makes: () => files };
}

/** COPY of some paths onto a parent. */
export function copy(
  name: string,
  onto: string,
  from: string,
  select: readonly string[],
): FakeStep {
  return {
    name,
    inputs: [{ step: onto }, { step: from, select }],
    makes: ([base = {}, source = {}]) => ({
      ...base,
      ...Object.fromEntries(select.map((path) => [path, source[path] ?? ''])),
    }),
  };
}

/** RUN on a parent. */
export function run(
  name: string,
  on: string,
  change: (files: Files) => Files,
  op = name,
): FakeStep {
  return { name, op, inputs: [{ step: on }], makes: ([files = {}]) => change(files) };
}
