import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Commit } from '../analyze/index.ts';
import { err, type Failure, failure, ok, type Result } from '../base/index.ts';
import type { Io } from './io.ts';

const run = promisify(execFile);

/** A list of the files of a large repository. */
const MAX_OUTPUT = 1 << 28;

/** The last commits of the repository that a directory belongs to, oldest first, with the files below the directory. */
export async function lastCommits(
  io: Io,
  directory: string,
  count: number,
): Promise<Result<readonly Commit[]>> {
  const git = gitIn(io, directory);
  try {
    const log = await git('log', '--first-parent', `-n${count}`, '--format=%H %ct');
    const commits: Commit[] = [];
    for (const line of log.trim().split('\n').reverse()) {
      const [id = '', seconds = '0'] = line.split(' ');
      const list = await git('ls-tree', '-r', '-z', id, '.');
      commits.push({ id, at: Number(seconds) * 1000, files: filesIn(list) });
    }
    return ok(commits);
  } catch (e) {
    return err(notRead(io, directory, e));
  }
}

/** The texts of files by their ids, as trees name them. */
export async function blobTexts(
  io: Io,
  directory: string,
  ids: readonly string[],
): Promise<Result<ReadonlyMap<string, string>>> {
  const git = gitIn(io, directory);
  const texts = new Map<string, string>();
  try {
    for (const id of new Set(ids)) texts.set(id, await git('cat-file', 'blob', id));
    return ok(texts);
  } catch (e) {
    return err(notRead(io, directory, e));
  }
}

/** Writes the files that a commit has below `directory` to another directory; the repository stays as it is. */
export async function checkOut(
  io: Io,
  directory: string,
  { commit, to }: { readonly commit: string; readonly to: string },
): Promise<Result<string>> {
  try {
    const git = gitIn(io, directory);
    const prefix = (await git('rev-parse', '--show-prefix')).trim();
    const repository = (await git('rev-parse', '--absolute-git-dir')).trim();
    // An index of its own: that of the repository is not touched.
    const own = gitIn(io, to, { GIT_INDEX_FILE: join(to, '.index'), GIT_DIR: repository });
    await own('--work-tree=.', 'checkout', commit, '--', prefix === '' ? '.' : prefix);
    await rm(join(to, '.index'), { force: true });
    return ok(join(to, prefix));
  } catch (e) {
    return err(notRead(io, directory, e));
  }
}

/** The branch that is checked out; undefined where there is none, or no repository. */
export async function currentBranch(io: Io, directory: string): Promise<string | undefined> {
  try {
    return (await gitIn(io, directory)('symbolic-ref', '--short', '-q', 'HEAD')).trim();
  } catch (e) {
    notRead(io, directory, e);
    return undefined;
  }
}

type Git = (...args: readonly string[]) => Promise<string>;

function gitIn(io: Io, cwd: string, more: Readonly<Record<string, string>> = {}): Git {
  const env = { PATH: io.env['PATH'] ?? '', HOME: io.env['HOME'] ?? '', LC_ALL: 'C', ...more };
  const options = { cwd, env, maxBuffer: MAX_OUTPUT, signal: io.signal };
  return async (...args) =>
    (await run('git', ['-c', 'core.quotePath=false', ...args], options)).stdout;
}

function notRead(io: Io, directory: string, e: unknown): Failure {
  io.signal.throwIfAborted();
  if (!(e instanceof Error) || !('stderr' in e || 'code' in e)) throw e;
  return failure('CL008', 2, `the commits of ${directory} cannot be read`, {
    help: 'the directory has to lie in a git repository with at least one commit',
    cause: e,
  });
}

/** `<mode> blob <id>TAB<path>` ended by NUL; paths are relative to the directory that git runs in. */
function filesIn(list: string): Commit['files'] {
  return new Map(
    list.split('\0').flatMap((line) => {
      const tab = line.indexOf('\t');
      if (tab === -1) return [];
      const [mode = '', , id = ''] = line.slice(0, tab).split(' ');
      return [[line.slice(tab + 1), `${mode} ${id}`] as const];
    }),
  );
}
