import { randomBytes } from 'node:crypto';
import type { Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { Definition, Vertex } from '../llb/index.ts';
import { createImageResolver, createMaterializer } from '../ops/index.ts';
import type { Lease } from '../ports/index.ts';
import { createSolver } from '../solve/index.ts';
import type { BuildDeps } from './deps.ts';
import type { BuildRequest } from './request.ts';
import { openTrees, solverDeps } from './solving.ts';

/** Solves graphs of sources apart from the build, for the files that they make. */
export class SourceTrees {
  readonly signal: AbortSignal;
  readonly #request: BuildRequest;
  readonly #deps: BuildDeps;
  readonly #options: { readonly signal: AbortSignal; readonly lease?: Lease };

  constructor(
    request: BuildRequest,
    deps: BuildDeps,
    options: { readonly signal: AbortSignal; readonly lease?: Lease },
  ) {
    this.#request = request;
    this.#deps = deps;
    this.#options = options;
    this.signal = options.signal;
  }

  /** The files that a definition makes. */
  async tree(definition: Definition): Promise<Result<FileTree>> {
    const { signal } = this;
    const [request, deps] = [this.#request, this.#deps];
    const id = randomBytes(8).toString('hex');
    const trees = openTrees(request, deps, { id, fetch: createMaterializer(deps) });
    const images = createImageResolver(deps);
    const none = { layouts: new Map(), logPath: () => undefined, isLost: () => false };
    const solver = createSolver(solverDeps({ request, deps, images, trees, ...none }));
    const solved = await solver.solve(definition, { ...this.#options, emit: deps.emit });
    if (!solved.ok) return solved;
    const vertex = resultVertex(definition);
    if (vertex === undefined) throw new Error('the graph has no result');
    return await trees.provider.tree(solved.value.chain, { signal, emit: deps.emit, vertex });
  }
}

function resultVertex({ vertices, result }: Definition): Vertex | undefined {
  return result === undefined ? undefined : vertices.get(result.digest);
}
