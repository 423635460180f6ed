import { posix } from 'node:path';
import { err, failure, ok, type Result } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import {
  contextDefinition,
  DOWNLOADED,
  type RemoteContext,
  remoteContext,
} from '../lower/index.ts';
import { isTarArchive } from '../ops/index.ts';
import type { Lease } from '../ports/index.ts';
import type { BuildDeps } from './deps.ts';
import { MAX_DOCKERFILE } from './read-dockerfile.ts';
import type { BuildRequest, RemoteRequest } from './request.ts';
import { SourceTrees } from './source-trees.ts';
import { readSmallFile, treeSource } from './tree-source.ts';

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
  const world = new SourceTrees(request, deps, options);
  return context.identifier.startsWith('git://')
    ? await openGit(request, { remote, context, world })
    : await openDownload(request, { remote, context, world });
}

interface Opening {
  readonly remote: RemoteRequest;
  readonly context: RemoteContext;
  readonly world: SourceTrees;
}

async function openGit(
  request: BuildRequest,
  { remote, context, world }: Opening,
): Promise<Result<BuildRequest>> {
  const title = `[internal] load git source ${remote.shown}`;
  const tree = await world.tree(contextDefinition(context, title));
  if (!tree.ok) return tree;
  return ok(opened(request, { context, tree: tree.value }));
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
    return ok(opened(request, { context: archive, tree: tree.value }));
  }
  const bytes = await readSmallFile(file.value, path, {
    maxBytes: MAX_DOCKERFILE,
    signal: world.signal,
  });
  if (!bytes.ok) return bytes;
  const done = opened(request, { context, tree: file.value });
  if (request.dockerfile.kind === 'text') return ok(done);
  const text = Buffer.from(bytes.value ?? []).toString('utf8');
  return ok({ ...done, dockerfile: { kind: 'text', text, shown: 'Dockerfile' } });
}

function opened(
  request: BuildRequest,
  { context, tree }: { readonly context: RemoteContext; readonly tree: FileTree },
): BuildRequest {
  const { remote, dockerfile } = request;
  if (remote === undefined) throw new Error('the context is remote');
  const source = treeSource(tree, remote.shown);
  const file = posix.join('/', remote.file ?? 'Dockerfile');
  return {
    ...request,
    context: source,
    remote: { ...remote, opened: { context } },
    dockerfile:
      dockerfile.kind === 'text'
        ? dockerfile
        : { kind: 'file', dir: source, name: file.slice(1), shown: file.slice(1) },
  };
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(?:1|t|true)$/i.test(text);
}
