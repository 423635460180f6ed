import type { EnvList } from './env-list.ts';
import type { LowerRequest } from './request.ts';
import { stop } from './stop.ts';

const NAME = 'SOURCE_DATE_EPOCH';
const CONTEXT = 'context';

/**
 * Seconds since 1970 of SOURCE_DATE_EPOCH, a build argument or a global ARG; undefined when it is unset or empty. `context`
 * stands for the time of a remote context, and for none where the context has no time of its own.
 */
export function sourceDateEpoch(
  buildArgs: Readonly<Record<string, string>>,
  globalArgs: EnvList,
  request: Pick<LowerRequest, 'contextEpoch'>,
): number | undefined {
  const text = buildArgs[NAME] ?? globalArgs.get(NAME) ?? '';
  if (text === '') return undefined;
  if (text === CONTEXT) return request.contextEpoch;
  const seconds = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(seconds)
    ? seconds
    : stop(`invalid SOURCE_DATE_EPOCH: ${text}`, 'DF029');
}

/** The global arguments as stages see them: `context` is replaced by the time that it stands for. */
export function withEpoch(globalArgs: EnvList, epoch: number | undefined): EnvList {
  if (globalArgs.get(NAME) !== CONTEXT) return globalArgs;
  return globalArgs.with(NAME, epoch === undefined ? '' : String(epoch));
}

/**
 * The request with the build arguments that steer the front end applied: a host name, and `SOURCE_DATE_EPOCH=context`,
 * which for a local directory means none.
 */
export function applySettings(request: LowerRequest): LowerRequest {
  const { buildArgs = {}, contextEpoch } = request;
  const { [NAME]: epoch, ...others } = buildArgs;
  const host = request.hostname ?? buildArgs['BUILDKIT_SANDBOX_HOSTNAME'];
  const resolved =
    contextEpoch === undefined ? others : { ...others, [NAME]: String(contextEpoch) };
  return {
    ...request,
    buildArgs: epoch === CONTEXT ? resolved : buildArgs,
    ...(host === undefined ? {} : { hostname: host }),
  };
}

/** A time as Go's RFC 3339 encoder writes whole seconds in UTC. */
export function epochText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, 'Z');
}
