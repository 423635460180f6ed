import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { Rig } from '../rig/rig.ts';

describe('the command line', () => {
  const cases: readonly (readonly [string, readonly string[], number, string])[] = [
    [
      'a missing Dockerfile',
      ['build', '--progress=quiet', 'app'],
      2,
      `error[DF001]: failed to read dockerfile: open Dockerfile: no such file or directory
help: there is no app/Dockerfile: name the Dockerfile with -f
`,
    ],
    [
      'a missing context',
      ['build', 'nowhere'],
      2,
      'error[CX001]: context "nowhere" does not exist\nhelp: check the path\n',
    ],
    [
      'no context',
      ['build'],
      2,
      'error[CL007]: the build context is missing\nhelp: write "varve build ." for the current directory\n',
    ],
    [
      'a mistyped flag',
      ['build', '--no-cach', 'app'],
      2,
      'error[CL001]: unknown option "--no-cach"\nhelp: did you mean "--no-cache"?\n',
    ],
    [
      'a mistyped command',
      ['biuld', 'app'],
      2,
      'error[CL001]: unknown command "biuld"\nhelp: did you mean "build"?\n',
    ],
    [
      'an output of an unknown type',
      ['build', '-o', 'type=zip,dest=x', 'app'],
      2,
      'error[CL002]: --output "type=zip,dest=x": unknown type "zip"\nhelp: known types: image, registry, oci, docker, tar, local, cacheonly\n',
    ],
    [
      'a platform that is none',
      ['build', '--shm-size', 'much', 'app'],
      2,
      'error[CL002]: --shm-size "much": not a size\nhelp: write a number of bytes, or a number with k, m, g or t\n',
    ],
    [
      'an unknown image',
      ['image', 'inspect', 'nothing'],
      2,
      'error[ST030]: no image nothing in the store\nhelp: `varve image ls` lists the images there are\n',
    ],
  ];
  for (const [what, args, status, stderr] of cases)
    test(`${what} is refused with what to do`, async () => {
      await using rig = new Rig();
      rig.write('app/file', '');
      assert.deepEqual(await rig.varve(args), { status, stdout: '', stderr });
    });

  test('a place below /proc, where no directory can be made, is refused at once', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY a /a\n', a: '1' });
    const build = ['build', '--progress=quiet', 'app'];
    const runs = [
      await rig.varve(['history', 'ls'], { env: { VARVE_ROOT: '/proc/none' } }),
      await rig.varve([...build, '-o', 'type=local,dest=/proc/none/out']),
      await rig.varve([...build, '--cache-to', 'type=local,dest=/proc/none/cache']),
    ];
    assert.deepEqual(
      runs.map(({ status, stderr }) => [status, stderr.split('\n')[0]]),
      [
        [
          3,
          "error[ST021]: the store /proc/none cannot be made: EPERM: the file system makes no directories, mkdir '/proc/none'",
        ],
        [3, 'error[EX001]: writing /proc/none/out: EPERM'],
        [3, 'error[RC006]: writing the cache to /proc/none/cache: EPERM'],
      ],
    );
  });

  test('a registry that cannot be reached is an environment failure that names the place', async () => {
    await using rig = new Rig();
    rig.write('app/Dockerfile', 'FROM localhost:1/app:1\n');
    const run = await rig.varve(['build', '--progress=quiet', 'app']);
    assert.deepEqual(run, {
      status: 3,
      stdout: '',
      stderr: `error[RG001]: GET http://localhost:1/v2/app/manifests/1: connect ECONNREFUSED 127.0.0.1:1
 --> app/Dockerfile:1:1
  |
1 | FROM localhost:1/app:1
  | ^^^^^^^^^^^^^^^^^^^^^^ help: tried 5 times; check the network and the registry
`,
    });
  });

  test('a base image that its registry does not have is named at its FROM', async () => {
    await using rig = new Rig();
    const server = createServer((_, answer) => {
      answer.writeHead(404, { 'content-type': 'application/json' });
      answer.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      rig.write('app/Dockerfile', `ARG A\nFROM 127.0.0.1:${port}/app:1\n`);
      const run = await rig.varve(['build', '--progress=quiet', 'app']);
      assert.deepEqual(
        { ...run, stderr: run.stderr.replaceAll(String(port), 'PORT') },
        {
          status: 3,
          stdout: '',
          stderr: `error[RG003]: GET http://127.0.0.1:PORT/v2/app/manifests/1: the registry answers 404 (MANIFEST_UNKNOWN: manifest unknown)
 --> app/Dockerfile:2:1
  |
2 | FROM 127.0.0.1:PORT/app:1
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^ help: check the name, tag or digest of the image
`,
        },
      );
    } finally {
      server.close();
    }
  });

  test('a context and its Dockerfile are read from an archive on standard input', async () => {
    await using rig = new Rig();
    rig.write('app/Dockerfile', 'FROM scratch\nCOPY file /\n');
    rig.write('app/file', 'text');
    const { execFileSync } = await import('node:child_process');
    const archive = execFileSync('tar', ['-czf', '-', '-C', `${rig.work}/app`, '.']);
    const run = await rig.varve(['build', '--progress=quiet', '-o', 'out', '-'], {
      input: archive,
    });
    assert.deepEqual(run, { status: 0, stdout: '', stderr: '' });
    assert.deepEqual(
      [...rig.files(`${rig.work}/out`)].map(([path, bytes]) => [path, bytes.toString()]),
      [[`${rig.work}/out/file`, 'text']],
    );
  });

  test('a Dockerfile without a context is read from standard input', async () => {
    await using rig = new Rig();
    const run = await rig.varve(['build', '-q', '-o', '-', '-'], {
      input: 'FROM scratch\nCOPY <<E /x\nhello\nE\n',
    });
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /\0x\0.*ustar.*hello\n/s);
  });

  test('completion scripts know every command', async () => {
    await using rig = new Rig();
    const scripts = await Promise.all(
      ['bash', 'zsh', 'fish'].map((shell) => rig.varve(['completion', shell])),
    );
    for (const { stdout } of scripts)
      for (const word of ['build', 'compose', 'doctor', 'push', 'metadata-file'])
        assert.ok(stdout.includes(word), word);
  });
});
