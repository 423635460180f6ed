import type { EnvList } from './env-list.ts';
import type { LowerRequest } from './request.ts';
import { stop } from './stop.ts';

/** Seconds since 1970 of SOURCE_DATE_EPOCH, a build argument or a global ARG; undefined when it is unset or empty. */
export function sourceDateEpoch(
  buildArgs: Readonly<Record<string, string>>,
  globalArgs: EnvList,
): number | undefined {
  const text = buildArgs['SOURCE_DATE_EPOCH'] ?? globalArgs.get('SOURCE_DATE_EPOCH') ?? '';
  if (text === '') return undefined;
  const seconds = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(seconds)
    ? seconds
    : stop(`invalid SOURCE_DATE_EPOCH: ${text}`, 'DF029');
}

/**
 * The request with the build arguments that steer the front end applied: a host name, and `SOURCE_DATE_EPOCH=context`,
 * which for a local directory means none.
 */
export function applySettings(request: LowerRequest): LowerRequest {
  const { buildArgs = {}, context } = request;
  const { SOURCE_DATE_EPOCH: epoch, ...others } = buildArgs;
  const host = request.hostname ?? buildArgs['BUILDKIT_SANDBOX_HOSTNAME'];
  return {
    ...request,
    buildArgs: epoch === 'context' && context.kind === 'local' ? others : buildArgs,
    ...(host === undefined ? {} : { hostname: host }),
  };
}

/** A time as Go's RFC 3339 encoder writes whole seconds in UTC. */
export function epochText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, 'Z');
}
