import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { decompress, TarReader } from '../archive/index.ts';
import { err, failure, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { Definition, Vertex } from '../llb/index.ts';
import {
  contextDefinition,
  DOWNLOADED,
  type RemoteContext,
  remoteContext,
} from '../lower/index.ts';
import { createImageResolver, createMaterializer, isTarArchive } from '../ops/index.ts';
import type { Lease } from '../ports/index.ts';
import { createSolver } from '../solve/index.ts';
import type { BuildDeps } from './deps.ts';
import { MAX_DOCKERFILE } from './read-dockerfile.ts';
import type { BuildRequest, RemoteRequest } from './request.ts';
import { openTrees, solverDeps } from './solving.ts';
import { readTreeFile, treeSource } from './tree-source.ts';

/**
 * Opens the context of a request that is an address or a repository (BuildKit frontend/dockerui, `initContext`): fetches it
 * as the op it is in the graph, and finds the Dockerfile in it. A download that is no archive is the Dockerfile.
 */
export async function openContext(
  request: BuildRequest,
  deps: BuildDeps,
  options: { readonly signal: AbortSignal; readonly lease?: Lease },
): Promise<Result<BuildRequest>> {
  const { remote } = request;
  if (remote === undefined) return ok(request);
  const context = remoteContext(remote.address, {
    keepGitDir: isTrue(request.buildArgs['BUILDKIT_CONTEXT_KEEP_GIT_DIR']),
  });
  if (context === undefined)
    return err(failure('CL007', 2, `${remote.shown} is no address of a context`));
  const world = new ContextWorld(request, deps, options);
  return context.identifier.startsWith('git://')
    ? await openGit(request, { remote, context, world })
    : await openDownload(request, { remote, context, world });
}

interface Opening {
  readonly remote: RemoteRequest;
  readonly context: RemoteContext;
  readonly world: ContextWorld;
}

async function openGit(
  request: BuildRequest,
  { remote, context, world }: Opening,
): Promise<Result<BuildRequest>> {
  const title = `[internal] load git source ${remote.shown}`;
  const tree = await world.tree(contextDefinition(context, title));
  if (!tree.ok) return tree;
  return ok(opened(request, { context, tree: tree.value, epoch: newestEntry(tree.value) }));
}

async function openDownload(
  request: BuildRequest,
  { remote, context, world }: Opening,
): Promise<Result<BuildRequest>> {
  const title = `[internal] load remote build context ${remote.shown}`;
  const file = await world.tree(contextDefinition(context, title));
  if (!file.ok) return file;
  const path = `/${DOWNLOADED}`;
  if (await isTarArchive(file.value, path, world.signal)) {
    const archive = { ...context, archive: true };
    const tree = await world.tree(contextDefinition(archive, '[internal] unpack build context'));
    if (!tree.ok) return tree;
    const done = opened(request, { context: archive, tree: tree.value, epoch: undefined });
    if (!(await wantsEpoch(done, world.signal))) return ok(done);
    const epoch = await newestMember(file.value, path, world.signal);
    return epoch.ok
      ? ok(opened(request, { context: archive, tree: tree.value, epoch: epoch.value }))
      : epoch;
  }
  const bytes = await readTreeFile(file.value, path, {
    maxBytes: MAX_DOCKERFILE,
    signal: world.signal,
  });
  if (!bytes.ok) return bytes;
  const done = opened(request, { context, tree: file.value, epoch: newestEntry(file.value) });
  if (request.dockerfile.kind === 'text') return ok(done);
  const text = Buffer.from(bytes.value ?? []).toString('utf8');
  return ok({ ...done, dockerfile: { kind: 'text', text, shown: 'Dockerfile' } });
}

function opened(
  request: BuildRequest,
  {
    context,
    tree,
    epoch,
  }: {
    readonly context: RemoteContext;
    readonly tree: FileTree;
    readonly epoch: number | undefined;
  },
): BuildRequest {
  const { remote, dockerfile } = request;
  if (remote === undefined) throw new Error('the context is remote');
  const source = treeSource(tree, remote.shown);
  const file = posix.join('/', remote.file ?? 'Dockerfile');
  return {
    ...request,
    context: source,
    remote: { ...remote, opened: { context, ...(epoch === undefined ? {} : { epoch }) } },
    dockerfile:
      dockerfile.kind === 'text'
        ? dockerfile
        : { kind: 'file', dir: source, name: file.slice(1), shown: file.slice(1) },
  };
}

/** Solves the graphs of a context. */
class ContextWorld {
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
    if (vertex === undefined) throw new Error('the context has no result');
    return await trees.provider.tree(solved.value.chain, { signal, emit: deps.emit, vertex });
  }
}

function resultVertex({ vertices, result }: Definition): Vertex | undefined {
  return result === undefined ? undefined : vertices.get(result.digest);
}

/** Seconds since 1970 of the newest entry at the root; undefined where no time is known. */
function newestEntry(tree: FileTree): number | undefined {
  const times = tree.list('/').map((name) => tree.lstat(`/${name}`)?.mtimeNs ?? 0n);
  return seconds(times);
}

/** Whether the time of the context may be asked for: to know it a whole archive is read. */
async function wantsEpoch(request: BuildRequest, signal: AbortSignal): Promise<boolean> {
  const { dockerfile, buildArgs } = request;
  if (buildArgs['SOURCE_DATE_EPOCH'] !== undefined)
    return buildArgs['SOURCE_DATE_EPOCH'] === 'context';
  if (dockerfile.kind === 'text') return dockerfile.text.includes('SOURCE_DATE_EPOCH');
  const bytes = await dockerfile.dir.readFile(dockerfile.name, {
    maxBytes: MAX_DOCKERFILE,
    signal,
  });
  return bytes.ok && Buffer.from(bytes.value ?? []).includes('SOURCE_DATE_EPOCH');
}

async function newestMember(
  tree: FileTree,
  path: string,
  signal: AbortSignal,
): Promise<Result<number | undefined>> {
  const reader = new TarReader(decompress(tree.read(path, signal), { signal }));
  const times: bigint[] = [];
  try {
    for (;;) {
      const entry = await reader.next();
      if (!entry.ok) return entry;
      if (entry.value === undefined) return ok(seconds(times));
      times.push(entry.value.mtimeNs);
    }
  } finally {
    await reader.close();
  }
}

function seconds(times: readonly bigint[]): number | undefined {
  const newest = times.reduce((a, b) => (a > b ? a : b), 0n);
  return newest === 0n ? undefined : Number(newest / 1_000_000_000n);
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(?:1|t|true)$/i.test(text);
}
