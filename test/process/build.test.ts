import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { BUSYBOX, needsSteps, normalised, Rig, statesOf } from '../rig/rig.ts';

const FILE = `${BUSYBOX}RUN echo first
COPY a.txt /a.txt
RUN busybox cat /a.txt > /out && echo second
`;

describe('varve build', { skip: needsSteps }, () => {
  test('the plain progress of a first build is that of BuildKit', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: FILE, 'a.txt': 'one\n', '.dockerignore': 'nothing\n' });
    const run = await rig.varve(['build', '--progress=plain', 'app']);
    assert.deepEqual(
      { ...run, stderr: normalised(run.stderr) },
      {
        status: 0,
        stdout: '',
        stderr: `#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 138B done
#1 DONE T

#2 [internal] load .dockerignore
#2 transferring context: 8B done
#2 DONE T

#3 [internal] load build context
#3 DONE T

#3 [internal] load build context
#3 transferring context:
#3 transferring context: SIZE done
#3 DONE T

#4 [1/5] COPY busybox /bin/sh
#4 DONE T

#5 [2/5] COPY busybox /bin/busybox
#5 DONE T

#6 [3/5] RUN echo first
#6 T first
#6 DONE T

#7 [4/5] COPY a.txt /a.txt
#7 DONE T

#8 [5/5] RUN busybox cat /a.txt > /out && echo second
#8 T second
#8 DONE T
`,
      },
    );
  });

  test('a second build executes no step, and a changed file those behind its COPY', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: FILE, 'a.txt': 'one\n' });
    const states: unknown[] = [];
    const build = async (): Promise<void> => {
      const run = await rig.varve(['build', '--progress=rawjson', 'app']);
      assert.equal(run.status, 0, run.stderr);
      const steps = Object.entries(statesOf(run.stderr));
      states.push(steps.map(([name, state]) => `${state} ${name}`).sort());
    };
    await build();
    await build();
    rig.write('app/a.txt', 'two\n');
    await build();
    rig.write('app/a.txt', 'one\n');
    await build();
    const names = [
      '[1/5] COPY busybox /bin/sh',
      '[2/5] COPY busybox /bin/busybox',
      '[3/5] RUN echo first',
      '[4/5] COPY a.txt /a.txt',
      '[5/5] RUN busybox cat /a.txt > /out && echo second',
    ];
    const expected = (cached: number): string[] =>
      names.map((name, i) => `${i < cached ? 'CACHED' : 'DONE'} ${name}`).sort();
    assert.deepEqual(states, [expected(0), expected(5), expected(3), expected(5)]);
  });

  test('a failing step is shown with its place, its output and its log', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo out && exit 7\n` });
    const run = await rig.varve(['build', '--progress=quiet', 'app']);
    const log = /full log: (.*)\n/.exec(run.stderr)?.[1] ?? '';
    assert.deepEqual(
      { ...run, stderr: run.stderr.replace(log, 'LOG') },
      {
        status: 1,
        stdout: '',
        stderr: `error[SB010]: process "/bin/sh -c echo out && exit 7" did not complete successfully: exit code: 7
 --> app/Dockerfile:4:1
  |
4 | RUN echo out && exit 7
  | ^^^^^^^^^^^^^^^^^^^^^^
out
full log: LOG
`,
      },
    );
    assert.deepEqual(await rig.varve(['history', 'logs']), {
      status: 0,
      stdout: '=> [3/3] RUN echo out && exit 7\nout\n',
      stderr: '',
    });
  });

  test('a secret is in no file of the store', async () => {
    await using rig = new Rig();
    const value = 'correct-horse-battery-staple';
    rig.context('app', {
      Dockerfile: `${BUSYBOX}RUN --mount=type=secret,id=pass,env=PASS test "$PASS" = "$(busybox cat /run/secrets/pass)" || busybox test -n "$PASS"
RUN --mount=type=secret,id=pass busybox cat /run/secrets/pass | busybox wc -c > /length
`,
    });
    const run = await rig.varve(
      ['build', '--progress=plain', '--secret', 'id=pass,env=PASS_VALUE', '-t', 'app', 'app'],
      { env: { PASS_VALUE: value } },
    );
    assert.equal(run.status, 0, run.stderr);
    const found = [...rig.files(rig.store)].filter(([, bytes]) => bytes.includes(value));
    assert.deepEqual(
      found.map(([path]) => path),
      [],
    );
    assert.equal(run.stderr.includes(value), false);
  });

  test('a build killed in the middle of a step leaves a store that the next one uses', async () => {
    await using rig = new Rig();
    const wait = `${BUSYBOX}RUN echo before\nRUN echo started && test -e /never || busybox sleep 600\n`;
    rig.context('app', { Dockerfile: wait });
    const { child, done } = rig.start(['build', '--progress=plain', 'app']);
    let said = '';
    while (!/#\d+ \d\.\d+ started/.test(said)) {
      const [text] = (await once(child.stderr ?? child, 'data')) as [string];
      said += text;
    }
    child.kill('SIGKILL');
    assert.equal((await done).status, null);
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo before\nRUN echo after\n` });
    const run = await rig.varve(['build', '--progress=rawjson', 'app']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(statesOf(run.stderr), {
      '[1/4] COPY busybox /bin/sh': 'CACHED',
      '[2/4] COPY busybox /bin/busybox': 'CACHED',
      '[3/4] RUN echo before': 'CACHED',
      '[4/4] RUN echo after': 'DONE',
    });
  });

  test('SIGINT stops a running step, leaves nothing behind and exits with 130', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo started && busybox sleep 600\n` });
    const { child, done } = rig.start(['build', '--progress=plain', 'app']);
    let said = '';
    while (!/#\d+ \d\.\d+ started/.test(said)) {
      const [text] = (await once(child.stderr ?? child, 'data')) as [string];
      said += text;
    }
    child.kill('SIGINT');
    const run = await done;
    assert.equal(run.status, 130, run.stderr);
    assert.match(run.stderr, /CANCELED\n/);
  });

  test('eight builds at once execute a shared step once', async () => {
    await using rig = new Rig();
    const shared = `${BUSYBOX}RUN --mount=type=cache,target=/c echo x >> /c/runs && busybox sleep 1\n`;
    rig.context('app', { Dockerfile: shared });
    const runs = await Promise.all(
      Array.from({ length: 8 }, () => rig.varve(['build', '--progress=rawjson', 'app'])),
    );
    assert.deepEqual(
      runs.map((r) => r.status),
      Array.from({ length: 8 }, () => 0),
    );
    const count = `${BUSYBOX}RUN --mount=type=cache,target=/c busybox wc -l < /c/runs\n`;
    rig.context('app', { Dockerfile: count });
    const run = await rig.varve(['build', '--progress=plain', 'app']);
    assert.match(run.stderr, /^#\d+ \d\.\d+ 1$/m);
  });
});
