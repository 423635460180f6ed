import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

const needsStrace: string | false =
  spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
    ? needsSteps
    : 'needs strace, and the right to trace';

/** What one build cost, as counted by the system calls it made. */
interface Counts {
  /** Programs started, the program itself included. */
  readonly programs: number;
  readonly containers: number;
  /** Files opened below `snapshots/`, other than the note beside each layer that says it is whole. */
  readonly layerFiles: number;
  readonly layerNotes: number;
  /** Blobs opened. */
  readonly blobs: number;
  /** Write transactions of the database: times its writer lock (wal-index byte 120) was taken. */
  readonly writes: number;
}

/** Builds the context `app` under strace; the program is started without its launcher script. */
function build(rig: Rig): Counts {
  // One file a thread: calls are never cut in two by another thread's.
  const traces = mkdtempSync(join(rig.root, 'trace-'));
  const run = spawnSync(
    'strace',
    [
      ...['-ff', '-y', '-s', '256', '-e', 'trace=execve,openat,open,fcntl'],
      ...['-o', join(traces, 't')],
      ...[process.execPath, '--disable-warning=ExperimentalWarning', MAIN],
      ...['build', '--progress=quiet', '-t', 'counted', 'app'],
    ],
    {
      cwd: rig.work,
      env: { PATH: process.env['PATH'], HOME: rig.root, VARVE_ROOT: rig.store },
      encoding: 'utf8',
    },
  );
  assert.equal(run.status, 0, run.stderr);
  const calls = readdirSync(traces).flatMap((file) =>
    readFileSync(join(traces, file), 'utf8').split('\n'),
  );
  const count = (pattern: RegExp): number => calls.filter((call) => pattern.test(call)).length;
  const layers = count(/^open(at)?\(.*"[^"]*\/store\/snapshots\//);
  const notes = count(/^open(at)?\(.*"[^"]*\/store\/snapshots\/layers\/\w+(\.\w+)?\/meta\.json"/);
  return {
    programs: count(/^execve\(.* = 0$/),
    containers: count(/^execve\("\/proc\/self\/exe", \["runc", "init"\].* = 0$/),
    layerFiles: layers - notes,
    layerNotes: notes,
    blobs: count(/^open(at)?\(.*"[^"]*\/store\/content\/blobs\//),
    writes: count(/^fcntl\(\d+<[^>]*state\.db-shm>, F_SETLK.*F_WRLCK.*l_start=120.* = 0$/),
  };
}

const steps = (count: number): string =>
  Array.from({ length: count }, (_, i) => `RUN echo ${i} > /f${i}\n`).join('');

describe('what a build costs', { skip: needsStrace }, () => {
  test('a no-op build starts no program, opens no layer and no blob, and writes as often however many steps there are', async () => {
    const costs: Counts[] = [];
    for (const count of [1, 5]) {
      await using rig = new Rig();
      rig.context('app', {
        Dockerfile: `${BUSYBOX}${steps(count)}COPY a.txt /a\n`,
        'a.txt': 'one',
      });
      build(rig);
      costs.push(build(rig));
    }
    const [few, many] = costs;
    const expected = { programs: 1, containers: 0, layerFiles: 0, blobs: 0 };
    const writes = few?.writes ?? 0;
    assert.ok(writes > 0 && writes < 20, `${writes} write transactions`);
    assert.deepEqual(few, { ...expected, layerNotes: 4, writes });
    assert.deepEqual(many, { ...expected, layerNotes: 8, writes });
  });

  test('a changed file starts a container for each step behind its COPY and for no other', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: `${BUSYBOX}${steps(1)}COPY a.txt /a\nRUN echo behind > /b\nRUN echo last > /c\n`,
      'a.txt': 'one',
    });
    const started: number[] = [];
    for (const content of ['one', 'two', 'two', 'one']) {
      rig.write('app/a.txt', content);
      started.push(build(rig).containers);
    }
    assert.deepEqual(started, [3, 2, 0, 0]);
  });
});
