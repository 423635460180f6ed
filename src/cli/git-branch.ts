import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isErrno } from '../base/index.ts';

/** Variables in which CI systems say the branch; of a pull request, its own before the merged one. */
const VARIABLES = [
  ...['GITHUB_HEAD_REF', 'GITHUB_REF_NAME', 'CI_COMMIT_REF_NAME', 'BUILDKITE_BRANCH'],
  ...['CIRCLE_BRANCH', 'BRANCH_NAME'],
];

/**
 * The branch that a build is made of: `VARVE_BRANCH`, the one that is checked out where the context lies, or what a CI system
 * says, which checks out commits. Undefined where nothing says it.
 */
export function branchOf(
  env: Readonly<Record<string, string | undefined>>,
  directory: string | undefined,
): string | undefined {
  const given = env['VARVE_BRANCH'];
  if (given !== undefined && given !== '') return given;
  const head = directory === undefined ? undefined : headOf(directory);
  const branch = /^ref: refs\/heads\/(.+)$/m.exec(head ?? '')?.[1];
  // A directory outside of any repository was not checked out by a CI system.
  if (branch !== undefined || head === undefined) return branch;
  return VARIABLES.map((name) => env[name]).find((value) => value !== undefined && value !== '');
}

/** The text of HEAD of the repository that a directory belongs to (gitrepository-layout(5)). */
function headOf(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    const git = join(at, '.git');
    try {
      if (statSync(git).isDirectory()) return readFileSync(join(git, 'HEAD'), 'utf8');
      // A work tree or a submodule.
      const place = /^gitdir: (.+)$/m.exec(readFileSync(git, 'utf8'))?.[1];
      return place === undefined
        ? undefined
        : readFileSync(join(resolve(at, place), 'HEAD'), 'utf8');
    } catch (e) {
      if (!isErrno(e, 'ENOENT', 'ENOTDIR', 'EACCES')) throw e;
    }
    if (at === dirname(at)) return undefined;
  }
}
