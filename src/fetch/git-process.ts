import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { err, type Failure, failure, isErrno, ok, type Result, redact } from '../base/index.ts';
import type { GitRemote } from '../ports/index.ts';

/** How git is started. */
export interface GitProcessDeps {
  /** `PATH` and the variables of proxies; nothing else of the caller's environment reaches git. */
  readonly env: Readonly<Record<string, string>>;
  /** URL of the proxy for a target, or undefined for a direct connection; asked where a redirect is looked at. */
  readonly proxyFor?: (url: URL) => string | undefined;
}

/** One run of git. */
export interface GitRun {
  /** What is being done, for messages: `git ls-remote https://…`. */
  readonly doing: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Set for runs that reach the network; others may use this machine's files only. */
  readonly remote?: GitRemote;
  /** The run reads submodules, which may be anywhere: their commits are named by the repository. */
  readonly submodules?: true;
  /** Repositories that are elsewhere now, by their addresses. */
  readonly moved?: readonly (readonly [from: string, to: string])[];
  readonly env?: Readonly<Record<string, string>>;
}

/** What a run of git wrote. */
export interface GitOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** More output than this is cut: it is read by people only, but for ls-remote's. */
const MAX_OUTPUT = 64 << 20;
const MAX_MESSAGE = 2000;

/**
 * Runs git without the user's configuration, without prompts and without hooks. Credentials travel in the environment,
 * which other users cannot read, and are taken out of everything that git says.
 */
export async function runGit(deps: GitProcessDeps, run: GitRun): Promise<Result<GitOutput>> {
  const { remote, signal } = run;
  const child = spawn('git', run.args, {
    cwd: run.cwd,
    env: { ...deps.env, ...BASE_ENV, ...networkEnv(run), ...configEnv(run), ...run.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      if (texts[name].length < MAX_OUTPUT) texts[name] += text;
    });
  const stop = (): void => {
    // Git ends its transports and removes its lock files.
    child.kill('SIGTERM');
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    signal.throwIfAborted();
    return ok({ code: code ?? 128, stdout: texts.stdout, stderr: clean(texts.stderr, remote) });
  } catch (e) {
    signal.throwIfAborted();
    if (!isErrno(e, 'ENOENT', 'EACCES')) throw e;
    return err(
      failure('SR005', 3, `${run.doing}: the program git cannot be started (${e.code ?? ''})`, {
        help: 'install git',
      }),
    );
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** As `runGit`, for runs that must succeed: what git wrote to standard output. */
export async function mustGit(deps: GitProcessDeps, run: GitRun): Promise<Result<string>> {
  const done = await runGit(deps, run);
  return needed(run, done);
}

/** As `mustGit`, of a run that is over. */
export function needed(run: GitRun, done: Result<GitOutput>): Result<string> {
  if (!done.ok) return done;
  return done.value.code === 0 ? ok(done.value.stdout) : err(gitFailure(run.doing, done.value));
}

/** The failure of a run that git itself reported. */
export function gitFailure(doing: string, { code, stderr }: GitOutput): Failure {
  const lines = stderr
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
  const said = lines.findLast((line) => /^(?:fatal|error|remote):/.test(line)) ?? lines.at(-1);
  return failure('SR002', 3, `${doing}: ${said ?? `exit code ${code}`}`, {
    help: 'check the address and the credentials (secrets GIT_AUTH_TOKEN, GIT_AUTH_HEADER, or --ssh)',
    ...(lines.length > 1 ? { details: lines.slice(-10) } : {}),
  });
}

const BASE_ENV = {
  LC_ALL: 'C',
  TZ: 'UTC',
  HOME: '/nonexistent',
  GIT_TERMINAL_PROMPT: '0',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ADVICE: '0',
} as const;

/** Which protocols may be used: a repository must not make git read files of this machine or run helpers. */
function networkEnv({ remote, submodules }: GitRun): Record<string, string> {
  if (remote === undefined) return { GIT_ALLOW_PROTOCOL: 'file' };
  const check =
    remote.knownHosts === undefined
      ? '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'
      : `-o StrictHostKeyChecking=yes -o UserKnownHostsFile=${remote.knownHosts}`;
  // Curl goes by this list where it is redirected: not from https to http.
  const secure = remote.url.startsWith('https:') && submodules !== true;
  return {
    GIT_ALLOW_PROTOCOL: secure ? 'https:ssh:git' : 'http:https:ssh:git',
    GIT_SSH_COMMAND: `ssh -F /dev/null -o BatchMode=yes -o LogLevel=ERROR ${check}`,
    ...(remote.agent === undefined ? {} : { SSH_AUTH_SOCK: remote.agent }),
  };
}

/** Configuration of one run, which no list of processes shows. */
function configEnv({ remote, moved = [] }: GitRun): Record<string, string> {
  const values: (readonly [string, string])[] = [
    ['safe.directory', '*'],
    ['core.hooksPath', '/dev/null'],
    ['core.autocrlf', 'false'],
    ['core.fsmonitor', 'false'],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['advice.detachedHead', 'false'],
    ['init.defaultBranch', 'main'],
  ];
  const header = remote === undefined ? undefined : authorizationOf(remote);
  if (remote !== undefined && header !== undefined) {
    const { origin } = new URL(remote.url);
    values.push([`http.${origin}/.extraheader`, `Authorization: ${header}`]);
    values.push([`http.${origin}/.followRedirects`, 'false']);
  }
  for (const each of moved) {
    const [from, to] = bounded(each);
    values.push([`url.${to}.insteadOf`, from]);
  }
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(values.length) };
  for (const [i, [key, value]] of values.entries()) {
    env[`GIT_CONFIG_KEY_${i}`] = key;
    env[`GIT_CONFIG_VALUE_${i}`] = value;
  }
  return env;
}

/**
 * Git replaces whatever an address begins with: one that is a host alone must end where the host does, or it would stand for other
 * hosts (`https://git.co` for `https://git.company`). Below a host it is the same server that says where its repositories are.
 */
function bounded([from, to]: readonly [string, string]): readonly [string, string] {
  const isHost = new URL(from).pathname === '/' && !from.endsWith('/');
  return isHost ? [`${from}/`, to.endsWith('/') ? to : `${to}/`] : [from, to];
}

/** The `Authorization` header of a repository over HTTP: the one given, else user and password of its address. */
export function authorizationOf({ url, authorization }: GitRemote): string | undefined {
  if (!/^https?:/.test(url) || !URL.canParse(url)) return undefined;
  if (authorization !== undefined) return authorization;
  const { username, password } = new URL(url);
  if (username === '' && password === '') return undefined;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** The address as git gets it: credentials of HTTP addresses go another way. */
export function bareUrl(url: string): string {
  if (!/^https?:/.test(url) || !URL.canParse(url)) return url;
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare.href;
}

function clean(text: string, remote: GitRemote | undefined): string {
  if (remote === undefined) return text;
  const secrets = [authorizationOf(remote)?.replace(/^\w+ /, '')];
  if (URL.canParse(remote.url)) secrets.push(new URL(remote.url).password);
  let out = text.replaceAll(remote.url, redact(remote.url)).slice(-MAX_MESSAGE);
  for (const secret of secrets)
    if (secret !== undefined && secret !== '') out = out.replaceAll(secret, '***');
  return out;
}
