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
import { parseRepomd, type Repomd } from '../rpm/index.ts';
import { type Answer, type Fetcher, readAll, refuseStatus } from './http.ts';
import type { ReleaseState, ReleaseStore } from './release-store.ts';
import { conditions, day, FRESH_MS, MAX_FUTURE_S, type RefreshPolicy } from './repository.ts';
import { judgeDetached, type Keyring, unknownKeys } from './signature.ts';

/** A repository of rpm packages as a template uses it. */
export interface RpmRepositoryRequest {
  /** Base address without a trailing slash. */
  readonly uri: string;
  readonly keyring: Keyring;
  readonly refresh: RefreshPolicy;
  /** Days after which the state of a repository is too old to be used. */
  readonly maxAgeDays?: number;
  readonly warn: (text: string) => void;
}

/** The verified index of a repository. */
export interface LoadedRepomd {
  readonly repomd: Repomd;
  /** SHA-256 of repomd.xml. */
  readonly digest: Digest;
  readonly signers: readonly string[];
}

interface Deps {
  readonly fetcher: Fetcher;
  readonly releases: ReleaseStore;
  readonly clock: Clock;
}

/** The name under which the store keeps the index of a repository beside those of Debian's suites. */
const SUITE = 'rpm-md';
const MAX_REPOMD = 16 * 1024 * 1024;
/** How often both files are fetched when they do not fit: the repository may be in the middle of an update. */
const TRIES = 2;

/**
 * The current index of a repository: from the cache, confirmed or replaced by the mirror as the policy says; its detached
 * signature (`repomd.xml.asc`) and its age are checked each time. PK011: not properly signed; PK012: by other keys; PK013: too
 * old; PK015: of the future; PK016: older than one that was seen; PK022: not readable.
 */
export async function loadRepomd(
  deps: Deps,
  request: RpmRepositoryRequest,
  signal: AbortSignal,
): Promise<Result<LoadedRepomd>> {
  const known = await deps.releases.state(request.uri, SUITE);
  const cached = known === undefined ? undefined : await reuse(deps, request, known);
  const age = known === undefined ? Number.POSITIVE_INFINITY : deps.clock.now() - known.checkedAt;
  if (request.refresh === 'never')
    return cached === undefined ? err(neverSeen(request)) : accept(deps, request, cached);
  if (cached !== undefined && request.refresh === 'auto' && age >= 0 && age < FRESH_MS)
    return accept(deps, request, cached);
  const fetched = await refetch(deps, { request, known, cached }, signal);
  if (fetched.ok) return accept(deps, request, fetched.value);
  if (fetched.error.code !== 'PK002' || cached === undefined || request.refresh === 'always')
    return fetched;
  request.warn(`${fetched.error.message}; using what was fetched earlier`);
  return accept(deps, request, cached);
}

const urlOf = (request: RpmRepositoryRequest): string => `${request.uri}/repodata/repomd.xml`;
const nameOf = (request: RpmRepositoryRequest): string => redact(urlOf(request));

const neverSeen = (request: RpmRepositoryRequest): Failure =>
  failure('PK003', 3, `${nameOf(request)} has not been fetched yet`, {
    help: 'build once with a network',
  });

/** What the store has, its signature verified again. */
async function reuse(
  deps: Deps,
  request: RpmRepositoryRequest,
  state: ReleaseState,
): Promise<LoadedRepomd | undefined> {
  const text = await deps.releases.file(request.uri, SUITE, state.text);
  const signature = await deps.releases.file(request.uri, SUITE, state.raw);
  if (text === undefined || signature === undefined) return undefined;
  const read = await verified(deps, request, { text, signature });
  return read.ok ? read.value : undefined;
}

async function verified(
  deps: Deps,
  request: RpmRepositoryRequest,
  files: { readonly text: string; readonly signature: string },
): Promise<Result<LoadedRepomd>> {
  const { text, signature } = files;
  const { keyring } = request;
  const name = nameOf(request);
  const judged = await judgeDetached(Buffer.from(text), signature, {
    keyring,
    now: deps.clock.now(),
  });
  if ('broken' in judged) return err(badlySigned(name, judged.broken));
  if ('unknown' in judged) return err(unknownKeys(name, keyring, judged.unknown));
  const repomd = parseRepomd(text, name);
  return repomd.ok
    ? ok({ repomd: repomd.value, digest: sha256(text), signers: judged.signers })
    : repomd;
}

const badlySigned = (name: string, why: string): Failure =>
  failure('PK011', 3, `${name} is not properly signed: ${why}`, {
    help: 'the mirror or something on the way to it changed the file; try another mirror',
  });

async function refetch(
  deps: Deps,
  what: {
    readonly request: RpmRepositoryRequest;
    readonly known: ReleaseState | undefined;
    readonly cached: LoadedRepomd | undefined;
  },
  signal: AbortSignal,
): Promise<Result<LoadedRepomd>> {
  const { request, known, cached } = what;
  let last: Result<LoadedRepomd> = err(neverSeen(request));
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const headers =
      attempt === 0 && cached !== undefined && known !== undefined ? conditions(known) : {};
    const got = await fetchText(deps, urlOf(request), { headers, signal });
    if (!got.ok) return got;
    const { text, etag, lastModified } = got.value;
    if (
      cached !== undefined &&
      known !== undefined &&
      (text === undefined || sha256(text) === known.text)
    ) {
      await deps.releases.touch(request.uri, SUITE, { ...known, checkedAt: deps.clock.now() });
      return ok(cached);
    }
    const signature = await fetchText(deps, `${urlOf(request)}.asc`, { headers: {}, signal });
    if (!signature.ok) return withoutSignature(request, signature.error);
    const raw = signature.value.text ?? '';
    last = await verified(deps, request, { text: text ?? '', signature: raw });
    if (!last.ok) continue;
    // A state that is not accepted is not remembered either: it would make later ones look old.
    const accepted = accept(deps, request, last.value);
    if (!accepted.ok) return accepted;
    const older = rollback(request, last.value, known);
    if (older !== undefined) return err(older);
    const { date } = last.value.repomd;
    const state: ReleaseState = {
      raw: sha256(raw),
      text: last.value.digest,
      keyring: request.keyring.digest,
      signers: last.value.signers,
      newest: date,
      ...{ etag, lastModified, checkedAt: deps.clock.now() },
    };
    await deps.releases.save(request.uri, SUITE, { state, raw, text: text ?? '' });
    return last;
  }
  return last;
}

/** A repository without a signature is refused; one that cannot be reached is not here. */
function withoutSignature(request: RpmRepositoryRequest, fault: Failure): Result<LoadedRepomd> {
  return err(
    fault.message.includes('answers 404')
      ? badlySigned(nameOf(request), 'there is no repomd.xml.asc beside it')
      : fault,
  );
}

interface Fetched {
  /** Absent: the server says that nothing changed. */
  readonly text: string | undefined;
  readonly etag: string;
  readonly lastModified: string;
}

async function fetchText(
  deps: Deps,
  url: string,
  options: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
): Promise<Result<Fetched>> {
  return await deps.fetcher.get(url, options, async (answer: Answer): Promise<Result<Fetched>> => {
    const bytes = await readAll(answer.body, MAX_REPOMD);
    const { etag = '', lastModified = '' } = answer;
    if (answer.status === 304) return ok({ text: undefined, etag, lastModified });
    const accepted = refuseStatus(url, answer.status);
    if (!accepted.ok) return accepted;
    if (bytes === undefined)
      return err(failure('PK011', 3, `${redact(url)} is larger than ${MAX_REPOMD} bytes`));
    return ok({ text: Buffer.from(bytes).toString('utf8'), etag, lastModified });
  });
}

/** Checks that depend on the time are made each time an index is used. */
function accept(
  deps: Deps,
  request: RpmRepositoryRequest,
  loaded: LoadedRepomd,
): Result<LoadedRepomd> {
  const now = deps.clock.now() / 1000;
  const { date } = loaded.repomd;
  const { maxAgeDays, refresh } = request;
  if (date > now + MAX_FUTURE_S)
    return err(
      failure('PK015', 3, `${nameOf(request)} is dated ${day(date)}, which is in the future`, {
        help: "check this machine's clock",
      }),
    );
  if (maxAgeDays !== undefined && date + maxAgeDays * 86_400 < now) {
    const text = `${nameOf(request)} is of ${day(date)}, older than ${maxAgeDays} days`;
    if (refresh !== 'never')
      return err(failure('PK013', 3, text, { help: 'the mirror is out of date; try another' }));
    request.warn(`${text}; accepted because the build is offline`);
  }
  return ok(loaded);
}

function rollback(
  request: RpmRepositoryRequest,
  loaded: LoadedRepomd,
  known: ReleaseState | undefined,
): Failure | undefined {
  const { date } = loaded.repomd;
  if (known === undefined || date >= known.newest) return undefined;
  return failure(
    'PK016',
    3,
    `${nameOf(request)} is of ${day(date)}, but one of ${day(known.newest)} was seen before`,
    { help: 'the mirror is out of step, or somebody replays an old state; try another mirror' },
  );
}
