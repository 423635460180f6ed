import {
  err,
  type Failure,
  FailureError,
  failure,
  ok,
  type Result,
  redact,
} from '../base/index.ts';
import { HttpClient, judgeRedirect, REDIRECTS, TransientError } from '../http/index.ts';
import {
  authorizationOf,
  type GitOutput,
  type GitProcessDeps,
  type GitRun,
  needed,
  runGit,
} from './git-process.ts';

/** Redirects of one run: a repository and its submodules may each have moved. */
const MAX_REDIRECTS = 20;
const STALL_MS = 30_000;
const REFS = '/info/refs?service=git-upload-pack';

/**
 * Runs git against a server. Git sends its `Authorization` header wherever a server points it (the second request is a
 * new one to curl), so that it follows no redirect while it has one: each is looked at here, and git is told the new
 * address. It gets the header for its own origin only.
 */
async function runGitRemote(deps: GitProcessDeps, run: GitRun): Promise<Result<GitOutput>> {
  let moved: readonly (readonly [from: string, to: string])[] = [];
  for (let hop = 0; ; hop++) {
    const done = await runGit(deps, { ...run, moved });
    if (!done.ok || done.value.code === 0) return done;
    const from = redirectedFrom(done.value.stderr);
    if (from === undefined || hop === MAX_REDIRECTS) return done;
    const to = await whereTo(deps, run, from);
    if (!to.ok) return to;
    if (to.value === undefined) return done;
    // Git replaces an address once: what moved twice is named by its first address.
    const known = moved.find(([, at]) => at === from);
    moved = [...moved.filter((one) => one !== known), [known?.[0] ?? from, to.value]];
  }
}

/** As `mustGit`, against a server. */
export async function mustGitRemote(deps: GitProcessDeps, run: GitRun): Promise<Result<string>> {
  return needed(run, await runGitRemote(deps, run));
}

/** The repository that git was led away from, by its own words. */
function redirectedFrom(stderr: string): string | undefined {
  const said =
    /unable to access '(https?:\/\/[^'\n]+?)\/?': The requested URL returned error: 30[12378]\b/;
  return said.exec(stderr)?.[1];
}

async function whereTo(
  deps: GitProcessDeps,
  run: GitRun,
  from: string,
): Promise<Result<string | undefined>> {
  const url = new URL(`${from}${REFS}`);
  const authorization = run.remote === undefined ? undefined : authorizationOf(run.remote);
  const own = run.remote !== undefined && new URL(run.remote.url).origin === url.origin;
  const { proxyFor } = deps;
  await using http = new HttpClient({
    stallMs: STALL_MS,
    ...(proxyFor === undefined ? {} : { proxyFor }),
  });
  const headers = own && authorization !== undefined ? { authorization } : {};
  try {
    const answer = await http.send(
      { method: 'GET', url, headers, signal: run.signal, stay: true },
      { base: url, config: {} },
    );
    answer.drop();
    const location = REDIRECTS.has(answer.status) ? answer.header('location') : undefined;
    if (location === undefined) return ok(undefined);
    const next = judgeRedirect(url, location);
    if (!next.ok) return err(refused(run, next.why));
    if (next.to.href.endsWith(REFS)) return ok(next.to.href.slice(0, -REFS.length));
    return err(refused(run, `refused redirect to ${redact(location)}: it is no repository`));
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    if (!(e instanceof TransientError)) throw e;
    return ok(undefined);
  }
}

function refused(run: GitRun, why: string): Failure {
  return failure('SR002', 3, `${run.doing}: ${why}`, {
    help: 'give the address where the repository is now',
  });
}
