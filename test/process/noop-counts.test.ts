import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Work } from '../rig/count-work.ts';
import { note } from '../rig/golden.ts';
import { BUSYBOX, Rig } from '../rig/rig.ts';
import { countedBuild, needsStrace, tracedBuild } from '../rig/traced-build.ts';

const MEBIBYTE = 1 << 20;

/** Statements that one more cached step adds. */
const STATEMENTS_OF_A_STEP = { noop: 7, changed: 10 };

/** What builds of two steps and two files may cost: measured, and a tenth more. */
const LIMITS = {
  noop: { statements: 107, hashedBytes: 16_000 },
  changed: { statements: 173, hashedBytes: 24_200 },
};

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

function build(rig: Rig): Counts {
  const count = tracedBuild(rig, ['execve', 'openat', 'open', 'fcntl']);
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
    const coldNotes: number[] = [];
    for (const count of [1, 5]) {
      await using rig = new Rig();
      rig.context('app', {
        Dockerfile: `${BUSYBOX}${steps(count)}COPY a.txt /a\n`,
        'a.txt': 'one',
      });
      coldNotes.push(build(rig).layerNotes);
      costs.push(build(rig));
    }
    // Each layer's note is opened once, when it is written or read, however many steps lie above it.
    assert.deepEqual(coldNotes, [4, 8]);
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

  test('what a build hashes and asks of the database follows what changed, not what there is', async () => {
    const rows: string[] = [];
    const costs: Work[][] = [];
    for (const count of [2, 12]) {
      await using rig = new Rig();
      rig.context('app', {
        Dockerfile: `${BUSYBOX}${steps(count)}COPY big.bin /big\nCOPY a.txt /a\n`,
        'big.bin': 'x'.repeat(MEBIBYTE),
        'a.txt': 'one',
      });
      countedBuild(rig);
      const noop = countedBuild(rig);
      rig.write('app/a.txt', 'two');
      const changed = countedBuild(rig);
      costs.push([noop, changed]);
      for (const [what, { statements, hashedBytes }] of [
        ['nothing changed', noop],
        ['one file changed', changed],
      ] as const)
        rows.push(`${count} steps, ${what}: ${statements} statements, ${hashedBytes} bytes hashed`);
    }
    for (const row of rows) note(row);
    const [[fewNoop, fewChanged] = [], [manyNoop, manyChanged] = []] = costs;
    const perStep = (few: Work | undefined, many: Work | undefined): number =>
      ((many?.statements ?? Number.NaN) - (few?.statements ?? Number.NaN)) / 10;
    assert.deepEqual(
      { noop: perStep(fewNoop, manyNoop), changed: perStep(fewChanged, manyChanged) },
      STATEMENTS_OF_A_STEP,
    );
    for (const [what, work, limit] of [
      ['few, nothing changed', fewNoop, LIMITS.noop],
      ['few, one file changed', fewChanged, LIMITS.changed],
    ] as const)
      assert.ok(
        work !== undefined &&
          work.statements <= limit.statements &&
          work.hashedBytes <= limit.hashedBytes,
        `${what}: ${JSON.stringify(work)} is above ${JSON.stringify(limit)}`,
      );
  });
});
