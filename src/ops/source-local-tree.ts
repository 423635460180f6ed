import { err, FailureError, Inflight, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import {
  type Clock,
  isLocalLayer,
  type LayerBase,
  type LayerChain,
  type LayerFetcher,
  type LayerIndexes,
  type LayerRef,
  type MountedTree,
  type Snapshotter,
  type TreeContext,
  type TreeProvider,
} from '../ports/index.ts';
import type { LocalSources } from './source-local.ts';
import { writeTree } from './source-local-write.ts';

/** What trees are made of. */
export interface TreeProviderDeps {
  readonly snapshotter: Snapshotter;
  /** Makes layers extracted on this machine. */
  readonly fetch: LayerFetcher;
  readonly locals: LocalSources;
  readonly clock: Clock;
  /** Absent: every layer that is looked into is brought here. */
  readonly indexes?: LayerIndexes;
}

/** The trees of one build's results: extracted layers, and local directories where they are. */
export function createTreeProvider(deps: TreeProviderDeps): TreeProvider {
  return new Trees(deps);
}

class Trees implements TreeProvider {
  readonly #deps: TreeProviderDeps;
  readonly #written = new Map<string, LayerRef>();
  readonly #writing = new Inflight<string, Result<LayerRef>>();

  constructor(deps: TreeProviderDeps) {
    this.#deps = deps;
  }

  async tree(chain: LayerChain, context: TreeContext): Promise<Result<FileTree>> {
    const local = chain.length === 1 ? this.#local(chain[0]) : undefined;
    if (local !== undefined) return ok(local);
    const indexed = await this.#indexed(chain, context);
    return indexed === undefined ? await this.#extracted(chain, context) : ok(indexed);
  }

  async base(chain: LayerChain, context: TreeContext): Promise<Result<LayerBase>> {
    const lower = await this.#indexed(chain, context);
    if (lower !== undefined) return ok({ chain, lower });
    const layers = await this.materialise(chain, context);
    return layers.ok ? ok({ chain: layers.value }) : layers;
  }

  async materialise(chain: LayerChain, context: TreeContext): Promise<Result<LayerChain>> {
    const layers: LayerRef[] = [];
    for (const layer of chain) {
      const local = this.#local(layer);
      if (local === undefined) layers.push(layer);
      else {
        const written = await this.#write(layer, local, context.signal);
        if (!written.ok) return written;
        layers.push(written.value);
      }
    }
    const fetched = await this.#deps.fetch(layers, context);
    return fetched.ok ? ok(layers) : fetched;
  }

  async mount(chain: LayerChain, context: TreeContext): Promise<Result<MountedTree>> {
    const layers = await this.materialise(chain, context);
    return layers.ok ? ok(await this.#deps.snapshotter.mount(layers.value)) : layers;
  }

  async #extracted(chain: LayerChain, context: TreeContext): Promise<Result<FileTree>> {
    const layers = await this.materialise(chain, context);
    return layers.ok ? ok(await this.#deps.snapshotter.tree(layers.value)) : layers;
  }

  /** The tree by file indexes, where some layer is not extracted and the indexes of all such layers are known. */
  async #indexed(chain: LayerChain, context: TreeContext): Promise<FileTree | undefined> {
    const { indexes, snapshotter } = this.#deps;
    if (indexes === undefined || chain.some(({ id }) => isLocalLayer(id))) return undefined;
    for (const [i] of chain.entries()) {
      if (await snapshotter.has(chain.slice(0, i + 1))) continue;
      return await indexes.tree(chain, context, (part) => this.#extracted(part, context));
    }
    return undefined;
  }

  #local(layer: LayerRef | undefined): FileTree | undefined {
    if (layer === undefined || !isLocalLayer(layer.id)) return undefined;
    const tree = this.#deps.locals.tree(layer.id);
    if (tree === undefined) throw new Error(`local layer ${layer.id} belongs to another build`);
    return tree;
  }

  /** Writes a local tree as a layer, once a build. */
  async #write(layer: LayerRef, tree: FileTree, signal: AbortSignal): Promise<Result<LayerRef>> {
    const known = this.#written.get(layer.id);
    if (known !== undefined) return ok(known);
    return await this.#writing.do(layer.id, signal, async (shared) => {
      await using active = await this.#deps.snapshotter.begin([]);
      try {
        await writeTree(tree, active.upper, shared);
      } catch (e) {
        if (e instanceof FailureError) return err(e.failure);
        throw e;
      }
      const written = await active.commit({ createdAt: this.#deps.clock.now() });
      this.#written.set(layer.id, written);
      return ok(written);
    });
  }
}
