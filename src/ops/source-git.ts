import { err, FailureError, failure, ok, type Result } from '../base/index.ts';
import { gitSourceKey, sourceKey } from '../cachekey/index.ts';
import type { SourceOp } from '../llb/index.ts';
import type {
  CacheMap,
  Clock,
  GitCommit,
  GitRemote,
  GitRepositories,
  OpContext,
  OpDriver,
  OpResult,
  Snapshotter,
} from '../ports/index.ts';
import type { ExecSecrets } from './exec-mounts.ts';
import type { SourceMemory } from './source-memory.ts';
import { shownUrl } from './source-url.ts';

/** What repositories as ops need. */
export interface GitDriverDeps {
  readonly git: GitRepositories;
  readonly remembered: SourceMemory;
  readonly snapshotter: Snapshotter;
  readonly secrets: ExecSecrets;
  readonly clock: Clock;
}

const SCHEME = 'git://';

/** Whether a source op is a repository of git. */
export function isGitSource(source: SourceOp): boolean {
  return source.identifier.startsWith(SCHEME);
}

/** The driver of `git://` (BuildKit source/git): known by the commit, which the server is asked for in each build. */
export function createGitDriver(source: SourceOp, deps: GitDriverDeps): OpDriver {
  const driver = new GitDriver(source, deps);
  return {
    cacheMap: (context) => driver.cacheMap(context),
    contentKey: () => {
      throw new Error('a source has no inputs');
    },
    run: (context) => driver.run(context),
  };
}

class GitDriver {
  readonly #url: string;
  readonly #ref: string;
  readonly #subdir: string;
  readonly #attrs: Readonly<Record<string, string>>;
  readonly #deps: GitDriverDeps;

  constructor({ identifier, attrs }: SourceOp, deps: GitDriverDeps) {
    const hash = identifier.indexOf('#');
    const fragment = hash === -1 ? '' : identifier.slice(hash + 1);
    const colon = fragment.indexOf(':');
    this.#ref = colon === -1 ? fragment : fragment.slice(0, colon);
    const subdir = colon === -1 ? '' : fragment.slice(colon + 1);
    this.#subdir = subdir.replace(/^(?:\.?\/+)+|\/+$/g, '');
    const location = hash === -1 ? identifier : identifier.slice(0, hash);
    this.#url = attrs['git.fullurl'] ?? `https://${location.slice(SCHEME.length)}`;
    this.#attrs = attrs;
    this.#deps = deps;
  }

  async cacheMap(context: OpContext): Promise<Result<CacheMap>> {
    const commit = await this.#commit(context);
    if (!commit.ok) return commit;
    const mtime = this.#attrs['git.mtime'];
    const key = gitSourceKey({
      sha: commit.value.sha,
      ref: this.#ref,
      subdir: this.#subdir,
      keepGitDir: this.#is('git.keepgitdir'),
      skipSubmodules: this.#is('git.skipsubmodules'),
      ...(mtime === undefined ? {} : { mtime }),
    });
    return ok({ digest: sourceKey(key), deps: [], describes: commit.value.sha });
  }

  async run(context: OpContext): Promise<Result<readonly OpResult[]>> {
    const commit = await this.#commit(context);
    if (!commit.ok) return commit;
    const { git, snapshotter, clock } = this.#deps;
    await using layer = await snapshotter.begin([]);
    const done = await git.checkout(
      await this.#remote(context.signal),
      {
        commit: commit.value,
        subdir: this.#subdir,
        keepGitDir: this.#is('git.keepgitdir'),
        submodules: !this.#is('git.skipsubmodules'),
      },
      { dir: layer.upper, signal: context.signal },
    );
    if (!done.ok) return done;
    return ok([[await layer.commit({ createdAt: clock.now() })]]);
  }

  async #commit(context: OpContext): Promise<Result<GitCommit>> {
    const { git, remembered } = this.#deps;
    const question = `git ${JSON.stringify([this.#url, this.#ref])}`;
    const commit = await remembered.once(
      question,
      context.signal,
      async (signal) => await git.resolve(await this.#remote(signal), this.#ref, { signal }),
    );
    if (!commit.ok) return commit;
    const want = this.#attrs['git.checksum'] ?? '';
    const { sha, tag } = commit.value;
    if (want === '' || sha.startsWith(want) || tag?.startsWith(want) === true) return commit;
    return err(
      failure(
        'SR004',
        3,
        `${shownUrl(this.#url)}: expected checksum to match ${want}, got ${sha}`,
        { help: 'the reference means another commit now: check it, and the checksum' },
      ),
    );
  }

  async #remote(signal: AbortSignal): Promise<GitRemote> {
    const { secrets } = this.#deps;
    const header = await this.#secret('git.authheadersecret', signal);
    const token = await this.#secret('git.authtokensecret', signal);
    const agentId = this.#attrs['git.mountsshsock'];
    const agent = agentId === undefined ? undefined : secrets.agent(agentId);
    if (agentId !== undefined && agent === undefined) throw new FailureError(noAgent(this.#url));
    const basic = (text: string): string =>
      `basic ${Buffer.from(`x-access-token:${text}`).toString('base64')}`;
    const authorization = header ?? (token === undefined ? undefined : basic(token));
    return {
      url: this.#url,
      ...(authorization === undefined ? {} : { authorization }),
      ...(agent === undefined ? {} : { agent }),
    };
  }

  /** A secret by the name in an attribute; one for the host alone comes first (`GIT_AUTH_TOKEN.example.com`). */
  async #secret(attr: string, signal: AbortSignal): Promise<string | undefined> {
    const name = this.#attrs[attr];
    if (name === undefined || !URL.canParse(this.#url)) return undefined;
    const { secrets } = this.#deps;
    const { host } = new URL(this.#url);
    const bytes =
      (await secrets.secret(`${name}.${host}`, signal)) ?? (await secrets.secret(name, signal));
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8').trim();
  }

  #is(attr: string): boolean {
    return this.#attrs[attr] === 'true';
  }
}

function noAgent(url: string): ReturnType<typeof failure> {
  return failure('SR002', 2, `${shownUrl(url)} is reached by SSH, and no agent was given`, {
    help: 'forward one with --ssh default',
  });
}
