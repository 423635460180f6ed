import { err, type Failure, ok, type Result, type SourceFile } from '../base/index.ts';
import {
  lintResult,
  outlineResult,
  parseDockerfile,
  parseInstructions,
  type RequestResult,
  targetsResult,
} from '../dockerfile/index.ts';
import type { BuildDeps } from './deps.ts';
import { lowerFully, lowerRequest } from './lower-rounds.ts';
import { openBuild, openRequest } from './open-build.ts';
import type { BuildRequest } from './request.ts';

/** What a Dockerfile can be asked instead of being built. */
export type CallMethod = 'check' | 'outline' | 'targets';

/** The answer to a `--call`. */
export interface CallAnswer extends RequestResult {
  /** BuildKit's status code 1: a check found something. */
  readonly failed: boolean;
  /** How many things a check warns of. */
  readonly warnings: number;
  /** Why the Dockerfile of a check cannot be built. */
  readonly failure?: Failure;
}

/** Asks a Dockerfile; nothing is executed. */
export async function callDockerfile(
  method: CallMethod,
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<CallAnswer>> {
  if (method === 'targets') return await listTargets(asked, deps, signal);
  return await (method === 'check' ? check : outline)(asked, deps, signal);
}

const NOTHING_FOUND = { failed: false, warnings: 0 } as const;

async function listTargets(
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<CallAnswer>> {
  const opened = await openRequest(asked, deps, { signal });
  if (!opened.ok) return opened;
  const { file } = opened.value;
  const parsed = parseDockerfile(file);
  if (!parsed.ok) return parsed;
  const instructions = parseInstructions(parsed.value);
  if (!instructions.ok) return instructions;
  return ok({ ...targetsResult(file, instructions.value), ...NOTHING_FOUND });
}

interface Asked {
  readonly file: SourceFile;
  readonly lowered: Awaited<ReturnType<typeof lowerFully>>;
}

/** Lowers the Dockerfile for the first platform without running anything; `stages: 'all'` where no target is named. */
async function lowerAsked(
  asked: BuildRequest,
  deps: BuildDeps,
  { signal, stages }: { readonly signal: AbortSignal; readonly stages: 'all' | 'needed' },
): Promise<Result<Asked>> {
  const opened = await openBuild(asked, deps, { signal });
  if (!opened.ok) return opened;
  const { world, file } = opened.value;
  const { platforms, target } = world.request;
  const asks = {
    ...lowerRequest(world, file, platforms[0]),
    ...(stages === 'all' && target === undefined ? { allStages: true } : {}),
  };
  return ok({ file, lowered: await lowerFully(world, asks, { runs: false }) });
}

/** Lints the target, or every stage where none is named. */
async function check(
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<CallAnswer>> {
  const done = await lowerAsked(asked, deps, { signal, stages: 'all' });
  if (!done.ok) return done;
  const { file, lowered } = done.value;
  if (lowered.ok) {
    const { warnings } = lowered.value;
    return ok({ ...lintResult(file, { warnings }), warnings: warnings.length });
  }
  const { failure, warnings } = lowered.error;
  // A registry that cannot be reached says nothing about the Dockerfile.
  if (failure.exit === 3) return err(failure);
  const lines = failure.locations.flat();
  const result = lintResult(file, { warnings, failure: { message: failure.message, lines } });
  return ok({ ...result, failure, warnings: warnings.length });
}

/** What the target takes. */
async function outline(
  asked: BuildRequest,
  deps: BuildDeps,
  signal: AbortSignal,
): Promise<Result<CallAnswer>> {
  const done = await lowerAsked(asked, deps, { signal, stages: 'needed' });
  if (!done.ok) return done;
  const { file, lowered } = done.value;
  if (!lowered.ok) return err(lowered.error.failure);
  return ok({ ...outlineResult(file, lowered.value.outline), ...NOTHING_FOUND });
}
