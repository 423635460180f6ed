import { ok, type Result, type SourceFile } from '../base/index.ts';
import { createImageResolver } from '../ops/index.ts';
import type { Lease } from '../ports/index.ts';
import { contextValues, withStacks } from './context-values.ts';
import type { BuildDeps } from './deps.ts';
import type { LowerWorld } from './lower-rounds.ts';
import { openContext } from './open-context.ts';
import { readDockerfile } from './read-dockerfile.ts';
import type { BuildRequest } from './request.ts';

/** What opening a request waits for, and who holds what it fetches. */
export interface Opening {
  readonly signal: AbortSignal;
  readonly lease?: Lease;
}

/** A request whose context is here, and its Dockerfile. */
export interface OpenRequest {
  readonly request: BuildRequest;
  readonly file: SourceFile;
}

/** Opens the context of a request and reads the Dockerfile. */
export async function openRequest(
  asked: BuildRequest,
  deps: BuildDeps,
  opening: Opening,
): Promise<Result<OpenRequest>> {
  const opened = await openContext(asked, deps, opening);
  if (!opened.ok) return opened;
  const { signal } = opening;
  const file = await readDockerfile(opened.value.dockerfile, { ...deps, signal });
  return file.ok ? ok({ request: opened.value, file: file.value }) : file;
}

/** Opens a request, and makes what its Dockerfile is lowered with. */
export async function openBuild(
  asked: BuildRequest,
  deps: BuildDeps,
  opening: Opening,
): Promise<Result<{ readonly world: LowerWorld; readonly file: SourceFile }>> {
  const opened = await openRequest(asked, deps, opening);
  if (!opened.ok) return opened;
  const { request, file } = opened.value;
  const { signal } = opening;
  const images = withStacks(createImageResolver(deps), request.namedContexts);
  const layouts = new Map<string, string>();
  const { buildPlatform } = deps;
  const contexts = await contextValues(request, { images, buildPlatform, layouts, signal });
  if (!contexts.ok) return contexts;
  return ok({ world: { deps, request, images, layouts, contexts: contexts.value, signal }, file });
}
