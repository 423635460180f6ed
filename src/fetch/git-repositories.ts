import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { err, failure, ok, type Result, redact, sha256, TempDir } from '../base/index.ts';
import type {
  GitCheckout,
  GitCommit,
  GitRemote,
  GitRepositories,
  WorkLocks,
} from '../ports/index.ts';
import { bareUrl, type GitProcessDeps, mustGit, runGit } from './git-process.ts';
import { mustGitRemote } from './git-redirects.ts';
import { findRef, isCommitId } from './git-refs.ts';
import { placeFiles } from './git-tree.ts';

/** Hexadecimal digits of an object's name. */
const SHA256_DIGITS = 64;

/** What repositories need. */
export interface GitRepositoriesDeps extends GitProcessDeps {
  /** Bare repositories with the commits fetched so far, one a remote. */
  readonly root: string;
  /** Work trees; on the file system of the layers. */
  readonly workDir: string;
  readonly locks: WorkLocks;
}

/** Repositories by the program git (BuildKit source/git): shallow fetches of single commits into a bare repository a remote. */
export function createGitRepositories(deps: GitRepositoriesDeps): GitRepositories {
  return {
    resolve: (remote, ref, { signal }) => resolveRef(deps, remote, ref, signal),
    checkout: async (remote, what, to) => await new Checkout(deps, remote, what, to).run(),
  };
}

async function resolveRef(
  deps: GitRepositoriesDeps,
  remote: GitRemote,
  ref: string,
  signal: AbortSignal,
): Promise<Result<GitCommit>> {
  if (isCommitId(ref)) return ok({ sha: ref, ref });
  if (ref.startsWith('-')) return err(failure('SR003', 2, `"${ref}" is no reference of git`));
  await mkdir(deps.workDir, { recursive: true });
  const patterns = ref === '' ? ['HEAD'] : [ref, `${ref}^{}`];
  const listed = await mustGitRemote(deps, {
    doing: `git ls-remote ${redact(remote.url)}`,
    args: ['ls-remote', '--symref', '--', bareUrl(remote.url), ...patterns],
    cwd: deps.workDir,
    signal,
    remote,
  });
  if (!listed.ok) return listed;
  const found = findRef(listed.value, ref);
  if (found !== undefined) return ok(found);
  return err(
    failure(
      'SR003',
      3,
      `repository ${redact(remote.url)} does not contain ref ${ref === '' ? 'HEAD' : ref}`,
      {
        help: 'name a branch, a tag or a whole commit id behind #',
      },
    ),
  );
}

/** One commit on its way from a server into a directory. */
class Checkout {
  readonly #deps: GitRepositoriesDeps;
  readonly #remote: GitRemote;
  readonly #what: GitCheckout;
  readonly #dir: string;
  readonly #signal: AbortSignal;
  readonly #bare: string;

  constructor(
    deps: GitRepositoriesDeps,
    remote: GitRemote,
    what: GitCheckout,
    to: { readonly dir: string; readonly signal: AbortSignal },
  ) {
    this.#deps = deps;
    this.#remote = remote;
    this.#what = what;
    this.#dir = to.dir;
    this.#signal = to.signal;
    // Objects of two kinds of names cannot be in one repository.
    const kind = what.commit.sha.length === SHA256_DIGITS ? '.sha256' : '';
    this.#bare = join(deps.root, `${sha256(bareUrl(remote.url)).slice(7, 39)}${kind}.git`);
  }

  async run(): Promise<Result<void>> {
    await using _lock = await this.#deps.locks.lock(`git ${this.#bare}`, this.#signal);
    const fetched = await this.#fetchCommit();
    if (!fetched.ok) return fetched;
    const { commit, subdir } = this.#what;
    const time = await this.#local(['show', '-s', '--format=%ct', `${commit.sha}^{commit}`]);
    if (!time.ok) return time;
    await using work = await TempDir.create(this.#deps.workDir, 'git-');
    const tree = join(work.path, 'tree');
    await mkdir(tree);
    const written = (await this.#needsRepository())
      ? await this.#clone(tree)
      : await this.#export(tree, join(work.path, 'index'));
    if (!written.ok) return written;
    return await placeFiles(tree, this.#dir, {
      subdir,
      keepGitDir: this.#what.keepGitDir,
      mtimeNs: BigInt(time.value.trim()) * 1_000_000_000n,
      shown: `${redact(this.#remote.url)}#${commit.ref}`,
      signal: this.#signal,
    });
  }

  /** A repository is needed where `.git` is kept, and to fetch submodules. */
  async #needsRepository(): Promise<boolean> {
    if (this.#what.keepGitDir) return true;
    if (!this.#what.submodules) return false;
    return await this.#succeeds(['cat-file', '-e', `${this.#what.commit.sha}:.gitmodules`]);
  }

  async #fetchCommit(): Promise<Result<void>> {
    if (!existsSync(join(this.#bare, 'HEAD'))) {
      await rm(this.#bare, { recursive: true, force: true });
      await mkdir(this.#bare, { recursive: true, mode: 0o700 });
      const made = await this.#local([...this.#init(), '--bare', '.']);
      if (!made.ok) return made;
    }
    const { sha, tag, ref } = this.#what.commit;
    if (await this.#complete()) return ok(undefined);
    // A server need not give a commit by its id, but always what a reference means now.
    const wanted = [...new Set([tag ?? sha, sha, ...(isCommitId(ref) ? [] : [ref])])];
    let last: Result<string> = ok('');
    for (const want of wanted) {
      last = await this.#fetch(['--depth=1', '--no-tags', '--force'], [want]);
      if (last.ok && (await this.#keep())) return ok(undefined);
    }
    const all = await this.#fetch(
      [...(existsSync(join(this.#bare, 'shallow')) ? ['--unshallow'] : []), '--no-tags', '--force'],
      ['+refs/heads/*:refs/remote/heads/*', '+refs/tags/*:refs/remote/tags/*'],
    );
    if (all.ok && (await this.#keep())) return ok(undefined);
    if (!all.ok) return all;
    return err(
      failure('SR003', 3, `repository ${redact(this.#remote.url)} does not contain commit ${sha}`, {
        help: 'the commit must be reachable from a branch or a tag',
      }),
    );
  }

  /** A repository that takes objects of one kind of names only: the commit tells which (gitformat-hash-function-transition). */
  #init(): readonly string[] {
    const format = this.#what.commit.sha.length === SHA256_DIGITS ? 'sha256' : 'sha1';
    return ['init', '--quiet', '--template=', `--object-format=${format}`];
  }

  /** Gives the commit a name of its own, so that it stays and can be fetched from here. */
  async #keep(): Promise<boolean> {
    const { sha, tag } = this.#what.commit;
    if (!(await this.#succeeds(['cat-file', '-e', `${sha}^{commit}`]))) return false;
    const target = tag !== undefined && (await this.#has(tag)) ? tag : sha;
    return await this.#succeeds(['update-ref', `refs/varve/${sha}`, target]);
  }

  #has(id: string): Promise<boolean> {
    return this.#succeeds(['cat-file', '-e', id]);
  }

  #complete(): Promise<boolean> {
    const { sha } = this.#what.commit;
    return this.#succeeds(['rev-parse', '--quiet', '--verify', `refs/varve/${sha}^{commit}`]);
  }

  #fetch(options: readonly string[], refs: readonly string[]): Promise<Result<string>> {
    return mustGitRemote(this.#deps, {
      doing: `git fetch ${redact(this.#remote.url)}`,
      args: ['fetch', '--quiet', ...options, '--', bareUrl(this.#remote.url), ...refs],
      cwd: this.#bare,
      signal: this.#signal,
      remote: this.#remote,
    });
  }

  /** The files alone: through an index of its own, straight from the bare repository. */
  async #export(tree: string, index: string): Promise<Result<void>> {
    const env = { GIT_DIR: this.#bare, GIT_WORK_TREE: tree, GIT_INDEX_FILE: index };
    const { sha } = this.#what.commit;
    for (const args of [
      ['read-tree', sha],
      ['checkout-index', '--all', '--force'],
    ]) {
      const done = await this.#local(args, { cwd: tree, env });
      if (!done.ok) return done;
    }
    return ok(undefined);
  }

  /** A repository with the one commit checked out, its origin the real remote, and its submodules. */
  async #clone(tree: string): Promise<Result<void>> {
    const { commit, submodules } = this.#what;
    const steps: readonly (readonly string[])[] = [
      [...this.#init(), '.'],
      ['fetch', '--quiet', '--depth=1', '--', `file://${this.#bare}`, `refs/varve/${commit.sha}`],
      ['remote', 'add', 'origin', bareUrl(this.#remote.url)],
      ...(/^refs\/tags\//.test(commit.ref) ? [['update-ref', commit.ref, 'FETCH_HEAD']] : []),
      ['checkout', '--quiet', '--detach', commit.sha],
      ['reflog', 'expire', '--all', '--expire=now'],
    ];
    for (const args of steps) {
      const done = await this.#local(args, { cwd: tree });
      if (!done.ok) return done;
    }
    await rm(join(tree, '.git', 'FETCH_HEAD'), { force: true });
    if (!submodules || !existsSync(join(tree, '.gitmodules'))) return ok(undefined);
    const done = await mustGitRemote(this.#deps, {
      doing: `git submodule update ${redact(this.#remote.url)}`,
      args: ['submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1'],
      cwd: tree,
      signal: this.#signal,
      remote: this.#remote,
      submodules: true,
    });
    return done.ok ? ok(undefined) : done;
  }

  async #local(
    args: readonly string[],
    at: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<Result<string>> {
    return await mustGit(this.#deps, {
      doing: `git ${args[0] ?? ''} ${redact(this.#remote.url)}`,
      args,
      cwd: this.#bare,
      signal: this.#signal,
      ...at,
    });
  }

  async #succeeds(args: readonly string[]): Promise<boolean> {
    const done = await runGit(this.#deps, {
      doing: 'git',
      args,
      cwd: this.#bare,
      signal: this.#signal,
    });
    return done.ok && done.value.code === 0;
  }
}
