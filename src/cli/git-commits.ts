import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Commit } from '../analyze/index.ts';
import { err, failure, ok, type Result } from '../base/index.ts';
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
  const git = async (...args: readonly string[]): Promise<string> => {
    const env = { PATH: io.env['PATH'] ?? '', HOME: io.env['HOME'] ?? '', LC_ALL: 'C' };
    const options = { cwd: directory, env, maxBuffer: MAX_OUTPUT, signal: io.signal };
    return (await run('git', ['-c', 'core.quotePath=false', ...args], options)).stdout;
  };
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
    io.signal.throwIfAborted();
    if (!(e instanceof Error) || !('stderr' in e || 'code' in e)) throw e;
    return err(
      failure('CL008', 2, `the commits of ${directory} cannot be read`, {
        help: 'the context has to lie in a git repository with at least one commit',
        cause: e,
      }),
    );
  }
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
