import {
  type CacheMountOffers,
  createOpResolver,
  createTreeProvider,
  type ImageResolver,
  LocalSources,
  type OpWorld,
  type TreeProviderDeps,
} from '../ops/index.ts';
import type { LayerChain, LocalSource, TreeProvider } from '../ports/index.ts';
import type { CacheSources, SolverDeps } from '../solve/index.ts';
import { layoutDir, MAIN_CONTEXT } from './context-values.ts';
import type { BuildDeps } from './deps.ts';
import type { BuildRequest } from './request.ts';
import { stepLimits } from './step-limits.ts';

/** The local directories of one build, and the files behind any layer. */
export interface Trees {
  /** Of the build. */
  readonly id: string;
  readonly locals: LocalSources;
  readonly provider: TreeProvider;
}

/** What the ops of one build work with. */
export interface Solving {
  readonly request: BuildRequest;
  readonly deps: BuildDeps;
  readonly images: ImageResolver;
  readonly layouts: ReadonlyMap<string, string>;
  readonly trees: Trees;
  readonly logPath: NonNullable<OpWorld['logPath']>;
  /** Finds directories of cache mounts elsewhere. */
  readonly offers?: CacheMountOffers;
  /** The caches that the build was given. */
  readonly sources?: CacheSources;
  /** Brings what is known elsewhere of earlier executions. */
  readonly tracesFromElsewhere?: NonNullable<SolverDeps['tracesFromElsewhere']>;
  /** Results that cannot be used although they seem to be there. */
  readonly isLost: (chain: LayerChain) => boolean;
}

/** Opens the contexts of a request; `id` names the build, `fetch` brings layers here, `indexes` tell of those elsewhere. */
export function openTrees(
  request: BuildRequest,
  deps: BuildDeps,
  { id, ...layers }: { readonly id: string } & Pick<TreeProviderDeps, 'fetch' | 'indexes'>,
): Trees {
  const sources = new Map<string, LocalSource>([[MAIN_CONTEXT, request.context]]);
  for (const [name, named] of request.namedContexts)
    if (named.kind === 'local') sources.set(name, named.source);
  const locals = new LocalSources(id, sources);
  return { id, locals, provider: createTreeProvider({ ...deps, locals, ...layers }) };
}

/** What the solver of one build works with. */
export function solverDeps(solving: Solving): SolverDeps {
  const { deps, request, trees, layouts, sources, tracesFromElsewhere } = solving;
  return {
    ...deps,
    ...(tracesFromElsewhere === undefined ? {} : { tracesFromElsewhere }),
    resolver: createOpResolver({
      ...deps,
      trees: trees.provider,
      locals: trees.locals,
      images: solving.images,
      mode: request.pull ? 'registry' : 'local-first',
      layoutDir: (ref) => layoutDir(layouts, ref),
      secrets: request.secrets,
      limitsOf: (name) => stepLimits(request, name),
      ...(request.buildLimits === undefined
        ? {}
        : { group: { id: trees.id, limits: request.buildLimits } }),
      logPath: solving.logPath,
      workDir: deps.paths.work,
      ...(solving.offers === undefined ? {} : { offers: solving.offers }),
    }),
    ...(sources === undefined ? {} : { sources }),
    available: async (chain) => !solving.isLost(chain) && (await isAvailable(deps, chain)),
  };
}

/** Whether every layer is extracted, or its blob here or somewhere known. */
async function isAvailable(deps: BuildDeps, chain: LayerChain): Promise<boolean> {
  const { snapshotter, content, layers } = deps;
  for (const [i, layer] of chain.entries()) {
    if (layer.origin !== undefined && layer.blob !== undefined) continue;
    if (await snapshotter.has(chain.slice(0, i + 1))) continue;
    const blobs = [
      ...(layer.blob === undefined ? [] : [layer.blob]),
      ...(layers.layer(layer.id)?.blobs ?? []),
    ];
    let here = false;
    for (const blob of blobs) here ||= (await content.size(blob.digest)) === blob.size;
    if (!here) return false;
  }
  return true;
}
