import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Work } from './count-work.ts';
import { needsSteps, type Rig } from './rig.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];
const BUILD = ['build', '--progress=quiet', '-t', 'counted', 'app'];

/** Why system calls cannot be counted here; false when they can. */
export const needsStrace: string | false =
  spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
    ? needsSteps
    : 'needs strace, and the right to trace';

/**
 * Builds the context `app` under strace and returns a function that counts the calls that a pattern matches. The program
 * is started without its launcher script. `calls` are the names of the calls to trace.
 */
export function tracedBuild(rig: Rig, calls: readonly string[]): (pattern: RegExp) => number {
  // One file a thread: calls are never cut in two by another thread's.
  const traces = mkdtempSync(join(rig.root, 'trace-'));
  const strace = ['-ff', '-y', '-s', '256', '-e', `trace=${calls.join(',')}`];
  run(rig, 'strace', [...strace, '-o', join(traces, 't'), process.execPath, ...NODE_FLAGS, MAIN]);
  const lines = readdirSync(traces).flatMap((file) =>
    readFileSync(join(traces, file), 'utf8').split('\n'),
  );
  return (pattern) => lines.filter((line) => pattern.test(line)).length;
}

/** Builds the context `app`; what its threads did, added up. */
export function countedBuild(rig: Rig): Work {
  const dir = mkdtempSync(join(rig.root, 'counts-'));
  const file = join(dir, 'counts');
  const preload = ['--import', join(import.meta.dirname, 'count-work.ts')];
  run(rig, process.execPath, [...NODE_FLAGS, ...preload, MAIN], { VARVE_TEST_COUNTS: file });
  const sum: Work = { statements: 0, hashedBytes: 0 };
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
    // The lines that count-work.ts writes.
    const one = JSON.parse(line) as Work;
    sum.statements += one.statements;
    sum.hashedBytes += one.hashedBytes;
  }
  return sum;
}

function run(
  rig: Rig,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): void {
  const { status, stderr } = spawnSync(program, [...args, ...BUILD], {
    cwd: rig.work,
    env: { PATH: process.env['PATH'], HOME: rig.root, VARVE_ROOT: rig.store, ...env },
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
}
