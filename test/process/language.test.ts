import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { buildFiles, executed, installed } from '../rig/results.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

/** Steps in a stage with a shell; the image is what they wrote to `/out`. */
const tools = (...lines: string[]): string =>
  [
    'FROM scratch AS tools',
    'COPY busybox /bin/sh',
    'COPY busybox /bin/busybox',
    'RUN /bin/busybox --install -s /bin',
    'WORKDIR /out',
    ...lines,
    'FROM scratch',
    'COPY --from=tools /out /',
    '',
  ].join('\n');

describe('the Dockerfile language from end to end', { skip: needsSteps, concurrency: 2 }, () => {
  test('a COPY keeps heredocs apart: expanded, literal, without tabs, several', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: tools(
        'ARG WHO=you',
        'COPY <<one <<"two" <<-three ./',
        'to ${WHO}, \\$kept "quoted"',
        'one',
        'to ${WHO}',
        'two',
        '\tno tab',
        '\tthree',
        'COPY <<EOF named',
        'x',
        'EOF',
      ),
    });
    assert.deepEqual(await buildFiles(rig, ['app']), {
      files: {
        one: 'to you, $kept "quoted"\n',
        two: 'to ${WHO}\n',
        three: 'no tab\n',
        named: 'x\n',
      },
      again: [],
    });
  });

  test('a RUN takes heredocs as script, as a program of its own, and as input', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: tools(
        'ARG WHO=you',
        'RUN <<EOF',
        'echo "1 $WHO" > script',
        'echo 2 >> script',
        'EOF',
        'RUN <<EOF',
        '#!/bin/awk -f',
        'BEGIN { print "awk" > "program" }',
        'EOF',
        'RUN cat <<A - <<"B" > input && tr a-z A-Z <<-C > upper',
        '$WHO',
        'A',
        '$WHO',
        'B',
        '\tlow',
        '\tC',
        'SHELL ["/bin/sh", "-c", "echo \\"shell: $0\\" > other"]',
        'RUN <<EOF',
        'body',
        'EOF',
      ),
    });
    assert.deepEqual(await buildFiles(rig, ['app']), {
      files: {
        script: '1 you\n2\n',
        program: 'awk\n',
        input: '$WHO\n',
        upper: 'LOW\n',
        other: 'shell: body\n\n',
      },
      again: [],
    });
  });

  test('steps have the hosts, limits, shared memory and secrets that were asked for', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: tools(
        'RUN grep 192.0.2.7 /etc/hosts > hosts',
        'RUN (ulimit -Sn; ulimit -Hn) > limits',
        "RUN grep ' /dev/shm ' /proc/mounts | grep -o 'size=[0-9]*k' > shm",
        'RUN --mount=type=secret,id=token,env=TOKEN echo "${#TOKEN}" > secret-env',
        'RUN --mount=type=secret,id=token,target=/t,mode=0440,uid=5 stat -c "%a %u %s" /t > secret-file',
        'RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent',
      ),
    });
    const flags = ['--add-host=here:192.0.2.7', '--ulimit=nofile=100:200', '--shm-size=3m'];
    flags.push('--secret=id=token,env=MY_TOKEN');
    assert.deepEqual(await buildFiles(rig, [...flags, 'app'], { env: { MY_TOKEN: 'abcde' } }), {
      files: {
        hosts: '192.0.2.7\there\n',
        limits: '100\n200\n',
        shm: 'size=3072k\n',
        'secret-env': '5\n',
        'secret-file': '440 5 5\n',
      },
      again: [],
    });
  });

  test('a step without network has the loopback only, one of the host what the host has', async () => {
    await using rig = new Rig();
    const list = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort";
    rig.context('app', {
      Dockerfile: tools(
        `RUN --network=none ${list} > none`,
        `RUN --network=host ${list} > host`,
        `RUN ${list} > asked`,
      ),
    });
    const host = readFileSync('/proc/self/net/dev', 'utf8').split('\n').slice(2, -1);
    const names = host.map((line) => line.split(':', 1)[0]?.trim() ?? '').sort();
    const flags = ['--allow=network.host', '--network=none'];
    assert.deepEqual((await buildFiles(rig, [...flags, 'app'])).files, {
      none: 'lo\n',
      host: names.map((name) => `${name}\n`).join(''),
      asked: 'lo\n',
    });
    const refused = await rig.varve(['build', '--progress=quiet', '--no-cache', 'app']);
    assert.equal(refused.status, 2, refused.stderr);
    assert.match(refused.stderr, /network\.host/);
  });

  test('an ssh mount lets a step talk to the agent, and is required only when it says so', async (t) => {
    if (!installed('ssh-agent', 'ssh-add', 'ssh-keygen')) {
      t.skip('needs openssh-client');
      return;
    }
    await using rig = new Rig();
    const key = join(rig.root, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test key', '-f', key]);
    const socket = join(rig.root, 'agent');
    const started = execFileSync('ssh-agent', ['-a', socket], { encoding: 'utf8' });
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
    try {
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      execFileSync('ssh-add', ['-q', key], { env, stdio: 'pipe' });
      const listed = execFileSync('ssh-add', ['-l'], { env, encoding: 'utf8' });
      const needed = execFileSync('ldd', ['/usr/bin/ssh-add'], { encoding: 'utf8' });
      const libraries = [...needed.matchAll(/(\/\S+)/g)].map(([, path]) => path ?? '');
      rig.context('app', {
        Dockerfile: tools(
          ...['/usr/bin/ssh-add', ...libraries].map((path) => `COPY .${path} ${path}`),
          'RUN --mount=type=ssh ssh-add -l > keys',
          'RUN --mount=type=ssh,id=other test ! -e "$SSH_AUTH_SOCK" && echo "[$SSH_AUTH_SOCK]" > absent',
          'RUN --mount=type=ssh,target=/s,uid=3,mode=0640 stat -c "%a %u" /s > socket',
          'RUN ls -A /run /tmp 2>&1 | grep -c agent > left; true',
        ).replace('WORKDIR /out', 'ENV PATH=/bin:/usr/bin\nWORKDIR /out'),
      });
      for (const path of ['/usr/bin/ssh-add', ...libraries])
        rig.write(`app${path}`, readFileSync(path));
      execFileSync('chmod', ['-R', 'a+rx', join(rig.work, 'app')]);
      assert.deepEqual(await buildFiles(rig, [`--ssh=default=${socket}`, 'app']), {
        files: {
          keys: listed,
          absent: '[/run/buildkit/ssh_agent.0]\n',
          socket: '640 3\n',
          left: '0\n',
        },
        again: [],
      });
      rig.context('needy', { Dockerfile: `${BUSYBOX}RUN --mount=type=ssh,required :\n` });
      const refused = await rig.varve(['build', '--progress=quiet', 'needy']);
      assert.notEqual(refused.status, 0);
      assert.match(refused.stderr, /ssh/);
    } finally {
      process.kill(pid);
    }
  });

  test('an archive is unpacked by ADD whatever compresses it, and copied where that is refused', async () => {
    await using rig = new Rig();
    rig.context('app', { 'in/f': 'inside\n' });
    const app = join(rig.work, 'app');
    for (const [name, flag] of [
      ['plain', '-b1'],
      ['gz', '-z'],
      ['bz2', '-j'],
      ['xz', '-J'],
      ['zst', '--zstd'],
    ])
      execFileSync('tar', [flag ?? '', '-cf', `${app}/${name ?? ''}.a`, '-C', `${app}/in`, 'f']);
    rig.write(
      'app/Dockerfile',
      'FROM scratch\n' +
        ['plain', 'gz', 'bz2', 'xz', 'zst'].map((n) => `ADD ${n}.a /${n}/\n`).join('') +
        'ADD --unpack=false plain.a /kept/\nADD in/f /file/\n',
    );
    const { files, again } = await buildFiles(rig, ['app']);
    const kept = readFileSync(join(app, 'plain.a'), 'utf8');
    assert.deepEqual(files, {
      'plain/f': 'inside\n',
      'gz/f': 'inside\n',
      'bz2/f': 'inside\n',
      'xz/f': 'inside\n',
      'zst/f': 'inside\n',
      'kept/plain.a': kept,
      'file/f': 'inside\n',
    });
    assert.deepEqual(again, []);
  });

  test('triggers of a stored image run in the image built on it, and not in the next', async () => {
    await using rig = new Rig();
    rig.context('parent', {
      Dockerfile: `${BUSYBOX}WORKDIR /out\nONBUILD COPY a.txt /out/\nONBUILD RUN echo "$PWD" > /out/ran\n`,
    });
    rig.context('child', { Dockerfile: 'FROM parent\nLABEL x=y\n', 'a.txt': 'child\n' });
    rig.context('last', {
      Dockerfile: 'FROM child AS c\nFROM scratch\nCOPY --from=c /out /\n',
      'a.txt': 'last\n',
    });
    const counts: unknown[] = [];
    for (const name of ['parent', 'child']) {
      const run = await rig.varve(['build', '--progress=rawjson', '-t', name, name]);
      assert.equal(run.status, 0, run.stderr);
      counts.push(executed(run.stderr));
    }
    assert.deepEqual(counts, [
      ['[1/3] COPY busybox /bin/sh', '[2/3] COPY busybox /bin/busybox', '[3/3] WORKDIR /out'],
      ['[2/3] ONBUILD COPY a.txt /out/', '[3/3] ONBUILD RUN echo "$PWD" > /out/ran'],
    ]);
    assert.deepEqual(await buildFiles(rig, ['last']), {
      files: { 'a.txt': 'child\n', ran: '/out\n' },
      again: [],
    });
  });

  test('--no-cache-filter executes the steps of the named stage only', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: `${BUSYBOX.replace('scratch', 'scratch AS base')}FROM base AS one\nRUN echo 1 > /1\nFROM base AS two\nRUN echo 2 > /2\nFROM scratch\nCOPY --from=one /1 /\nCOPY --from=two /2 /\n`,
    });
    const build = async (...flags: string[]): Promise<readonly string[]> => {
      const run = await rig.varve(['build', '--progress=rawjson', ...flags, 'app']);
      assert.equal(run.status, 0, run.stderr);
      return executed(run.stderr);
    };
    const all = await build();
    assert.equal(all.length, 6);
    assert.deepEqual(
      [await build('--no-cache-filter=two'), await build('--no-cache-filter=one,two')],
      [['[two 1/1] RUN echo 2 > /2'], ['[one 1/1] RUN echo 1 > /1', '[two 1/1] RUN echo 2 > /2']],
    );
    assert.deepEqual(await build('--no-cache'), all);
    assert.deepEqual(await build(), []);
  });

  test('named contexts are directories with ignore files, layouts, stored images and stages', async () => {
    await using rig = new Rig();
    rig.context('stored', {
      Dockerfile: 'FROM scratch\nCOPY f /f\nENV FROM_IMAGE=yes\n',
      f: 'stored\n',
    });
    rig.context('layout', { Dockerfile: 'FROM scratch\nCOPY f /f\n', f: 'layout\n' });
    rig.context('dir', {
      '.dockerignore': '*.no\n',
      'a.no': 'no\n',
      'a.yes': 'dir\n',
      busybox: '',
    });
    rig.context('app', {
      Dockerfile: [
        'FROM alpine AS replaced-image',
        'FROM scratch AS replaced-stage',
        'RUN this stage does not run',
        'FROM scratch',
        'COPY --from=extra . /extra/',
        'COPY --from=replaced-image /f /image',
        'COPY --from=replaced-stage /a.yes /stage',
        'COPY --from=oci /f /layout',
        '',
      ].join('\n'),
    });
    for (const args of [
      ['-t', 'my/stored:1', 'stored'],
      ['-t', 'l:1', '-o', 'type=oci,dest=oci,tar=false', 'layout'],
    ]) {
      const run = await rig.varve(['build', '--progress=plain', ...args]);
      assert.equal(run.status, 0, run.stderr);
    }
    const contexts = ['extra=dir', 'alpine=docker-image://my/stored:1', 'oci=oci-layout://oci:1'];
    contexts.push('replaced-stage=dir');
    const flags = contexts.flatMap((c) => ['--build-context', c]);
    assert.deepEqual(await buildFiles(rig, [...flags, 'app']), {
      files: {
        'extra/.dockerignore': '*.no\n',
        'extra/a.yes': 'dir\n',
        'extra/busybox': '',
        image: 'stored\n',
        stage: 'dir\n',
        layout: 'layout\n',
      },
      again: [],
    });
  });
});
