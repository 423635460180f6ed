import type { Result } from '../base/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { CacheMap, LayerChain, OpContext, OpDriver, RecordId } from '../ports/index.ts';
import type { BuildRun } from './build-run.ts';
import { nameOf } from './progress.ts';
import type { Cause, Execution } from './types.ts';

/** What one solve knows of one vertex; its outputs are edges. */
export class VertexWork {
  readonly vertex: Vertex;
  readonly name: string;
  readonly driver: OpDriver;
  /** Why the step was executed, once it was. */
  cause: Cause | undefined;
  /** Results of the execution in this solve: no other output of the same vertex executes it again. */
  outputs: readonly (LayerChain | undefined)[] | undefined;
  /** Names this solve's own execution when caching is off for the step. */
  forcedKey: string | undefined;
  records: readonly (readonly RecordId[])[] = [];
  readonly #build: BuildRun;
  #map: Promise<Result<CacheMap>> | undefined;
  #loaded: CacheMap | undefined;

  constructor(build: BuildRun, vertex: Vertex) {
    this.#build = build;
    this.vertex = vertex;
    this.name = nameOf(vertex);
    this.driver = build.deps.resolver(vertex);
  }

  /** The op's part of cache keys; asked once. */
  cacheMap(): Promise<Result<CacheMap>> {
    return (this.#map ??= this.#askCacheMap());
  }

  /** The cache map, which was asked for before. */
  get map(): CacheMap {
    if (this.#loaded === undefined) throw new Error(`cache map of "${this.name}" is not there yet`);
    return this.#loaded;
  }

  /** Takes the outputs of an execution; false when another output of the vertex brought them before. */
  executed({ outputs, records }: Extract<Execution, { readonly kind: 'done' }>): boolean {
    const first = this.outputs === undefined;
    this.outputs = outputs;
    this.records = records;
    return first;
  }

  context(signal: AbortSignal): OpContext {
    return { signal, emit: this.#build.emit, vertex: this.vertex };
  }

  async #askCacheMap(): Promise<Result<CacheMap>> {
    // A source resolves its identity here, which people see (and which takes time); other ops only compute.
    const isSource = this.vertex.op.inputs.length === 0;
    const { progress } = this.#build;
    this.#build.starts.throwIfAborted();
    if (isSource) progress.started(this.vertex.digest);
    const map = await this.#build.track(this.driver.cacheMap(this.context(this.#build.work)));
    if (map.ok) this.#loaded = map.value;
    else this.#build.fail(this.vertex, map.error);
    if (map.ok && isSource) progress.completed(this.vertex.digest);
    return map;
  }
}
