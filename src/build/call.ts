import { err, type Failure, ok, type Result } from '../base/index.ts';
import {
  lintResult,
  parseDockerfile,
  parseInstructions,
  type RequestResult,
  targetsResult,
} from '../dockerfile/index.ts';
import { createImageResolver } from '../ops/index.ts';
import { contextValues } from './context-values.ts';
import type { BuildDeps } from './deps.ts';
import { type LowerWorld, lowerFully, lowerRequest } from './lower-rounds.ts';
import { openContext } from './open-context.ts';
import { readDockerfile } from './read-dockerfile.ts';
import type { BuildRequest } from './request.ts';

/** The answer to a `--call`; `failed` is its status code 1. */
export interface CallAnswer extends RequestResult {
  readonly failed: boolean;
}

/** `--call=targets`: the stages of a Dockerfile. */
export async function listTargets(
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<CallAnswer>> {
  const opened = await openContext(asked, deps, { signal });
  if (!opened.ok) return opened;
  const request = opened.value;
  const file = await readDockerfile(request.dockerfile, { ...deps, signal });
  if (!file.ok) return file;
  const parsed = parseDockerfile(file.value);
  if (!parsed.ok) return parsed;
  const instructions = parseInstructions(parsed.value);
  if (!instructions.ok) return instructions;
  return ok({ ...targetsResult(file.value, instructions.value), failed: false });
}

/** `--check` and `--call=check`: lints every stage; nothing is executed. */
export async function checkDockerfile(
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<CallAnswer>> {
  const opened = await openContext(asked, deps, { signal });
  if (!opened.ok) return opened;
  const request = opened.value;
  const file = await readDockerfile(request.dockerfile, { ...deps, signal });
  if (!file.ok) return file;
  const images = createImageResolver(deps);
  const layouts = new Map<string, string>();
  const { buildPlatform } = deps;
  const contexts = await contextValues(request, { images, buildPlatform, layouts, signal });
  if (!contexts.ok) return contexts;
  const world: LowerWorld = { deps, request, images, layouts, contexts: contexts.value, signal };
  const [platform] = request.platforms;
  const lowered = await lowerFully(world, {
    ...lowerRequest(world, file.value, platform),
    allStages: true,
  });
  if (lowered.ok) return ok(lintResult(file.value, { warnings: lowered.value.warnings }));
  const { failure, warnings } = lowered.error;
  if (isEnvironment(failure)) return err(failure);
  const lines = failure.locations.flat();
  return ok(lintResult(file.value, { warnings, failure: { message: failure.message, lines } }));
}

/** A registry that cannot be reached says nothing about the Dockerfile. */
function isEnvironment(failure: Failure): boolean {
  return failure.exit === 3;
}
