import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { BUSYBOX, needsSteps, Rig, statesOf } from '../rig/rig.ts';

const FILE = `${BUSYBOX}RUN echo first
COPY a.txt /a.txt
RUN busybox cat /a.txt > /out && echo second
`;

/** Durations differ from run to run. */
const timeless = (text: string): string => text.replace(/about \d+\.\d+s/g, 'about T');

async function build(rig: Rig): Promise<readonly string[]> {
  const run = await rig.varve(['build', '--progress=rawjson', 'app']);
  assert.equal(run.status, 0, run.stderr);
  const states = Object.entries(statesOf(run.stderr));
  return states.flatMap(([name, state]) => (state === 'DONE' ? [name] : [])).sort();
}

async function plannedRuns(rig: Rig): Promise<readonly string[]> {
  const run = await rig.varve(['build', '--plan', '--json', '--progress=quiet', 'app']);
  assert.equal(run.status, 0, run.stderr);
  const plan = parseJson(run.stdout);
  assert.ok(plan.ok, run.stdout);
  // The shape is asserted by its use.
  const { steps } = plan.value as {
    readonly steps: readonly { readonly name: string; readonly state: string }[];
  };
  return steps.flatMap(({ name, state }) => (state === 'run' ? [name] : [])).sort();
}

describe('varve build --plan', { skip: needsSteps }, () => {
  test('says of each step what would happen and why, and runs nothing', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: FILE, 'a.txt': 'one\n' });
    const plan = async (): Promise<string> => {
      const run = await rig.varve(['build', '--plan', '--progress=quiet', 'app']);
      assert.deepEqual({ ...run, stdout: '' }, { status: 0, stdout: '', stderr: '' });
      return timeless(run.stdout);
    };
    assert.equal(
      await plan(),
      `RUN     [1/5] COPY busybox /bin/sh
        no earlier build had a step with this text
RUN     [2/5] COPY busybox /bin/busybox
        no earlier build had a step with this text; "[1/5] COPY busybox /bin/sh" above it is executed too
RUN     [3/5] RUN echo first
        no earlier build had a step with this text; "[2/5] COPY busybox /bin/busybox" above it is executed too
RUN     [4/5] COPY a.txt /a.txt
        no earlier build had a step with this text; "[3/5] RUN echo first" above it is executed too
RUN     [5/5] RUN busybox cat /a.txt > /out && echo second
        no earlier build had a step with this text; "[4/5] COPY a.txt /a.txt" above it is executed too
5 of 5 steps would run; how long they take is not known
`,
    );
    await build(rig);
    assert.equal(
      await plan(),
      `CACHED  [1/5] COPY busybox /bin/sh
        a later step was found, so its result was not needed
CACHED  [2/5] COPY busybox /bin/busybox
        a later step was found, so its result was not needed
CACHED  [3/5] RUN echo first
        a later step was found, so its result was not needed
CACHED  [4/5] COPY a.txt /a.txt
        a later step was found, so its result was not needed
CACHED  [5/5] RUN busybox cat /a.txt > /out && echo second
        the step and the files it uses are unchanged
0 of 5 steps would run
`,
    );
    rig.write('app/a.txt', 'two\n');
    assert.equal(
      await plan(),
      `CACHED  [1/5] COPY busybox /bin/sh
        a later step was found, so its result was not needed
CACHED  [2/5] COPY busybox /bin/busybox
        a later step was found, so its result was not needed
CACHED  [3/5] RUN echo first
        the step and everything above it are unchanged
RUN     [4/5] COPY a.txt /a.txt (about T)
        a.txt changed in the build context
RUN     [5/5] RUN busybox cat /a.txt > /out && echo second (about T)
        "[4/5] COPY a.txt /a.txt" above it is executed anew: a.txt changed in the build context
2 of 5 steps would run: about T of work
`,
    );
  });

  test('the build after a plan executes exactly what was planned', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: FILE, 'a.txt': 'one\n' });
    const counts: number[] = [];
    const changes: readonly (() => void)[] = [
      () => undefined,
      () => undefined,
      () => rig.write('app/a.txt', 'two\n'),
      () => rig.write('app/Dockerfile', FILE.replace('echo second', 'echo third')),
      () => rig.context('app', { Dockerfile: FILE, 'a.txt': 'one\n' }),
    ];
    for (const change of changes) {
      change();
      const planned = await plannedRuns(rig);
      assert.deepEqual(await build(rig), planned);
      counts.push(planned.length);
    }
    assert.deepEqual(counts, [5, 0, 2, 1, 0]);
  });

  test('a plan is no build: it is not in the history', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: FILE, 'a.txt': 'one\n' });
    await plannedRuns(rig);
    assert.deepEqual(await rig.varve(['history', 'ls', '--json']), {
      status: 0,
      stdout: '',
      stderr: '',
    });
  });

  test('a file that the context lacks is a failure of the plan with its place', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY nothing /\n' });
    const run = await rig.varve(['build', '--plan', '--progress=quiet', 'app']);
    const real = await rig.varve(['build', '--progress=quiet', 'app']);
    assert.deepEqual(run, real);
    assert.match(run.stderr, /\n --> app\/Dockerfile:2:1\n/);
  });
});
