import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsSteps, Rig } from '../rig/rig.ts';

describe('front ends of a Dockerfile', () => {
  const build = (...more: readonly string[]): readonly string[] => [
    ...['build', '--progress=quiet', ...more],
    ...['-o', 'out', 'app'],
  ];

  test("every name of Docker's own front end is built in", async () => {
    await using rig = new Rig();
    const names = [
      'docker/dockerfile:1',
      'docker.io/docker/dockerfile:1.7-labs',
      'docker/dockerfile-upstream:master',
      'dockerfile.v0',
    ];
    for (const name of names) {
      rig.write('app/Dockerfile', `# syntax=${name}\nFROM scratch\nCOPY <<E /x\nhello\nE\n`);
      assert.deepEqual(await rig.varve(build()), { status: 0, stdout: '', stderr: '' });
    }
  });

  test('another front end is refused at its directive', async () => {
    await using rig = new Rig();
    rig.write('app/Dockerfile', '# syntax = example.com/other:1 --flag\nFROM scratch\n');
    assert.deepEqual(await rig.varve(build()), {
      status: 2,
      stdout: '',
      stderr: `error[DF035]: the front end "example.com/other:1" is not supported: only docker/dockerfile is built in
 --> app/Dockerfile:1:1
  |
1 | # syntax = example.com/other:1 --flag
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ help: write "# syntax=docker/dockerfile:1", or leave the line out
`,
    });
  });

  test('BUILDKIT_SYNTAX takes the place of the directive', async () => {
    await using rig = new Rig();
    rig.write('app/Dockerfile', '# syntax=example.com/other:1\nFROM scratch\nCOPY <<E /x\nE\n');
    const own = await rig.varve(build('--build-arg', 'BUILDKIT_SYNTAX=docker/dockerfile:1'));
    assert.deepEqual(own, { status: 0, stdout: '', stderr: '' });
    const foreign = await rig.varve(build('--build-arg', 'BUILDKIT_SYNTAX=example.com/third'));
    assert.deepEqual(foreign, {
      status: 2,
      stdout: '',
      stderr: `error[DF035]: the front end "example.com/third" that BUILDKIT_SYNTAX asks for is not supported: only docker/dockerfile is built in
help: leave the build argument BUILDKIT_SYNTAX out
`,
    });
  });
});

describe('rights of steps', () => {
  for (const [flag, right, column] of [
    ['--network=host', 'network.host', '^'.repeat(30)],
    ['--security=insecure', 'security.insecure', '^'.repeat(35)],
  ] as const)
    test(`RUN ${flag} needs --allow ${right}`, { skip: needsSteps }, async () => {
      await using rig = new Rig();
      const file = `FROM scratch\nCOPY busybox /bin/sh\nRUN ${flag} echo x > /x\n`;
      rig.context('app', { Dockerfile: file });
      const refused = await rig.varve(['build', '--progress=quiet', 'app']);
      assert.deepEqual(refused, {
        status: 2,
        stdout: '',
        stderr: `error[DF036]: entitlement ${right} is not allowed
 --> app/Dockerfile:3:1
  |
3 | RUN ${flag} echo x > /x
  | ${column} help: allow it with --allow ${right}
`,
      });
      const checked = await rig.varve(['build', '--check', '--progress=quiet', 'app']);
      assert.equal(checked.status, 0, checked.stderr);
      const given = await rig.varve(['build', '--progress=quiet', '--allow', right, 'app']);
      assert.deepEqual(given, { status: 0, stdout: '', stderr: '' });
    });
});
