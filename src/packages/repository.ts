import {
  type Digest,
  err,
  type Failure,
  failure,
  ok,
  type Result,
  redact,
  sha256,
} from '../base/index.ts';
import type { Clock } from '../ports/index.ts';
import { type Answer, type Fetcher, readAll, refuseStatus } from './http.ts';
import { parseRelease, type Release } from './release.ts';
import type { ReleaseState, ReleaseStore } from './release-store.ts';
import { type Keyring, verifyClearSigned } from './signature.ts';

/**
 * When a mirror is asked whether its Release file has changed: `auto` when the last answer is older than ten minutes (and
 * what is cached is used, with a warning, when the mirror cannot be reached), `always`, `never` (offline).
 */
export type RefreshPolicy = 'auto' | 'always' | 'never';

/** One suite of a repository as a template uses it. */
export interface SuiteRequest {
  /** Base URI without a trailing slash. */
  readonly uri: string;
  readonly suite: string;
  readonly keyring: Keyring;
  readonly refresh: RefreshPolicy;
  /** Whether an expired `Valid-Until` is a failure. */
  readonly checkValidUntil: boolean;
  /** Whether a `Date` in the future is a failure. */
  readonly checkDate: boolean;
  /** Seconds since the epoch: a Release file that is newer is refused (snapshots). */
  readonly notAfter?: number;
  readonly warn: (text: string) => void;
}

/** A verified Release file. */
export interface LoadedRelease {
  readonly release: Release;
  /** SHA-256 of the signed text. */
  readonly digest: Digest;
  readonly signers: readonly string[];
}

const MAX_RELEASE = 16 * 1024 * 1024;
/** How long an answer of a mirror counts as current. */
export const FRESH_MS = 10 * 60_000;
/** How far a mirror's clock may be ahead. */
export const MAX_FUTURE_S = 600;

interface Deps {
  readonly fetcher: Fetcher;
  readonly releases: ReleaseStore;
  readonly clock: Clock;
}

/**
 * The current Release file of a suite: from the cache, confirmed or replaced by the mirror as the policy says, signature,
 * name and dates checked each time. PK011 to PK016 say which check failed.
 */
export async function loadRelease(
  deps: Deps,
  request: SuiteRequest,
  signal: AbortSignal,
): Promise<Result<LoadedRelease>> {
  const known = await deps.releases.state(request.uri, request.suite);
  const cached = known === undefined ? undefined : await reuse(deps, request, known);
  const age = known === undefined ? Number.POSITIVE_INFINITY : deps.clock.now() - known.checkedAt;
  if (request.refresh === 'never')
    return cached === undefined ? err(neverSeen(request)) : accept(deps, request, cached);
  if (cached !== undefined && request.refresh === 'auto' && age >= 0 && age < FRESH_MS)
    return accept(deps, request, cached);
  const fetched = await fetchRelease(
    deps,
    { request, known, cached: cached !== undefined },
    signal,
  );
  if (!fetched.ok) {
    if (fetched.error.code !== 'PK002' || cached === undefined || request.refresh === 'always')
      return fetched;
    request.warn(`${fetched.error.message}; using what was fetched earlier`);
    return accept(deps, request, cached);
  }
  if (fetched.value === 'unchanged') {
    if (cached === undefined)
      throw new Error('a conditional request was sent without a cached file');
    return accept(deps, request, cached);
  }
  return ok(fetched.value);
}

const nameOf = (request: SuiteRequest): string =>
  redact(`${request.uri}/dists/${request.suite}/InRelease`);

const neverSeen = (request: SuiteRequest): Failure =>
  failure('PK003', 3, `${nameOf(request)} has not been fetched yet`, {
    help: 'build once with a network',
  });

interface Cached extends LoadedRelease {
  readonly state: ReleaseState;
}

/** What the store has, if it was verified by this keyring or can be again. */
async function reuse(
  deps: Deps,
  request: SuiteRequest,
  state: ReleaseState,
): Promise<Cached | undefined> {
  const { uri, suite, keyring } = request;
  let text = await deps.releases.file(uri, suite, state.text);
  let signers = state.signers;
  if (state.keyring !== keyring.digest) {
    const raw = await deps.releases.file(uri, suite, state.raw);
    const verified =
      raw === undefined
        ? undefined
        : await verifyClearSigned(raw, { keyring, now: deps.clock.now(), name: nameOf(request) });
    if (verified?.ok !== true) return undefined;
    ({ text, signers } = verified.value);
  }
  const release = text === undefined ? undefined : parseRelease(text, nameOf(request));
  return release?.ok === true
    ? { release: release.value, digest: state.text, signers, state }
    : undefined;
}

async function fetchRelease(
  deps: Deps,
  what: {
    readonly request: SuiteRequest;
    readonly known: ReleaseState | undefined;
    readonly cached: boolean;
  },
  signal: AbortSignal,
): Promise<Result<LoadedRelease | 'unchanged'>> {
  const { request, known, cached } = what;
  const url = `${request.uri}/dists/${request.suite}/InRelease`;
  const answered = await deps.fetcher.get(
    url,
    { signal, headers: cached && known !== undefined ? conditions(known) : {} },
    async (answer) => await readRelease(answer, url),
  );
  if (!answered.ok) return answered;
  const now = deps.clock.now();
  const { raw, etag, lastModified } = answered.value;
  if (raw === undefined || (cached && sha256(raw) === known?.raw)) {
    if (known !== undefined)
      await deps.releases.touch(request.uri, request.suite, { ...known, checkedAt: now });
    return ok('unchanged');
  }
  const verified = await verifyClearSigned(raw, {
    keyring: request.keyring,
    now,
    name: nameOf(request),
  });
  if (!verified.ok) return verified;
  const { text, signers } = verified.value;
  const release = parseRelease(text, nameOf(request));
  if (!release.ok) return release;
  const loaded = { release: release.value, digest: sha256(text), signers };
  const refused = refusal(deps, request, loaded) ?? rollback(request, loaded, known);
  if (refused !== undefined) return err(refused);
  const state: ReleaseState = {
    raw: sha256(raw),
    text: loaded.digest,
    keyring: request.keyring.digest,
    signers,
    newest: loaded.release.date,
    etag,
    lastModified,
    checkedAt: now,
  };
  await deps.releases.save(request.uri, request.suite, { state, raw, text });
  return ok(loaded);
}

/** Headers that ask for a file only if it changed. */
export function conditions(known: ReleaseState): Record<string, string> {
  return {
    ...(known.etag === '' ? {} : { 'if-none-match': known.etag }),
    ...(known.lastModified === '' ? {} : { 'if-modified-since': known.lastModified }),
  };
}

interface ReleaseAnswer {
  /** Absent: the server says that nothing changed. */
  readonly raw: string | undefined;
  readonly etag: string;
  readonly lastModified: string;
}

async function readRelease(answer: Answer, url: string): Promise<Result<ReleaseAnswer>> {
  const { etag = '', lastModified = '' } = answer;
  const bytes = await readAll(answer.body, MAX_RELEASE);
  if (answer.status === 304) return ok({ raw: undefined, etag, lastModified });
  const accepted = refuseStatus(url, answer.status);
  if (!accepted.ok) return accepted;
  if (bytes === undefined)
    return err(failure('PK011', 3, `${redact(url)} is larger than ${MAX_RELEASE} bytes`));
  return ok({ raw: Buffer.from(bytes).toString('utf8'), etag, lastModified });
}

/** Checks that depend on the time are made each time a Release file is used. */
function accept(deps: Deps, request: SuiteRequest, loaded: LoadedRelease): Result<LoadedRelease> {
  const refused = refusal(deps, request, loaded);
  return refused === undefined ? ok(loaded) : err(refused);
}

function refusal(deps: Deps, request: SuiteRequest, loaded: LoadedRelease): Failure | undefined {
  const { release } = loaded;
  const name = nameOf(request);
  const now = deps.clock.now() / 1000;
  if (!isNamed(release, request.suite))
    return failure(
      'PK014',
      3,
      `${name} is for ${release.codename ?? release.suite ?? 'no suite'}, not for ${request.suite}`,
      {
        help: 'the mirror serves another suite under this name',
      },
    );
  if (request.notAfter !== undefined) {
    if (release.date <= request.notAfter) return undefined;
    return failure(
      'PK015',
      3,
      `${name} is of ${day(release.date)}, later than the snapshot of ${day(request.notAfter)}`,
      {
        help: 'the mirror does not keep old states; name one that does, with {snapshot} in its URI',
      },
    );
  }
  if (release.validUntil !== undefined && release.validUntil < now) {
    const text = `${name} expired on ${day(release.validUntil)}`;
    if (request.checkValidUntil && request.refresh !== 'never')
      return failure('PK013', 3, text, { help: 'the mirror is out of date; try another' });
    request.warn(
      `${text}; accepted because ${request.checkValidUntil ? 'the build is offline' : "the host's apt does not check it"}`,
    );
  }
  if (release.date > now + MAX_FUTURE_S) {
    const text = `${name} is dated ${day(release.date)}, which is in the future`;
    if (request.checkDate) return failure('PK015', 3, text, { help: "check this machine's clock" });
    request.warn(`${text}; accepted because the host's apt does not check it`);
  }
  return undefined;
}

function rollback(
  request: SuiteRequest,
  loaded: LoadedRelease,
  known: ReleaseState | undefined,
): Failure | undefined {
  if (known === undefined || loaded.release.date >= known.newest) return undefined;
  return failure(
    'PK016',
    3,
    `${nameOf(request)} is of ${day(loaded.release.date)}, but one of ${day(known.newest)} was seen before`,
    { help: 'the mirror is out of step, or somebody replays an old state; try another mirror' },
  );
}

/** Suite and codename are both names of a release; old security suites are `<codename>/updates`. */
function isNamed(release: Release, suite: string): boolean {
  const wanted = suite.replace(/\/$/, '');
  return (
    release.codename === wanted ||
    release.suite === wanted ||
    release.codename === wanted.replace(/\/updates$/, '')
  );
}

/** A time for messages. */
export const day = (seconds: number): string =>
  new Date(seconds * 1000).toISOString().replace('.000', '');
