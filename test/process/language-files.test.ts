import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { buildFiles, executed, readFiles } from '../rig/results.ts';
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

/** What `stat` says of paths of the stage. */
const stat = (...paths: string[]): string => `RUN stat -c '%A %u:%g %n' ${paths.join(' ')} > stat`;

/** Builds and tells which steps ran. */
async function ran(rig: Rig, ...args: string[]): Promise<readonly string[]> {
  const run = await rig.varve(['build', '--progress=rawjson', ...args, 'app']);
  assert.equal(run.status, 0, run.stderr);
  return executed(run.stderr);
}

describe('files of a Dockerfile build', { skip: needsSteps, concurrency: 2 }, () => {
  test('archives that a wildcard names are all taken apart, members with the owner that is said', async () => {
    await using rig = new Rig();
    rig.context('app', { 'in/deep/f': 'deep\n', 'in2/g': 'second\n' });
    const app = join(rig.work, 'app');
    // Members whose directories have no entry of their own, and one below a link of the image that is absolute.
    execFileSync('tar', ['-cf', `${app}/one.tar`, '-C', `${app}/in`, 'deep/f']);
    execFileSync('tar', ['-cf', `${app}/two.tar`, '-C', `${app}/in2`, 'g']);
    rig.write(
      'app/Dockerfile',
      tools(
        'RUN mkdir -p /real && ln -s /real /link',
        'ADD *.tar all/',
        'ADD --chown=7:8 one.tar own/',
        'ADD one.tar /link/',
        'RUN cp -r /real linked',
        stat('own', 'own/deep', 'own/deep/f', '/link'),
      ),
    );
    assert.deepEqual(await buildFiles(rig, ['app']), {
      files: {
        'all/deep/f': 'deep\n',
        'all/g': 'second\n',
        'linked/deep/f': 'deep\n',
        'own/deep/f': 'deep\n',
        stat: 'drwxr-xr-x 7:8 own\ndrwxr-xr-x 0:0 own/deep\n-rw-r--r-- 7:8 own/deep/f\nlrwxrwxrwx 0:0 /link\n',
      },
      again: [],
    });
  });

  test('a wildcard is found again while what it matches is the same: other files do not count, another name does', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY *.in /d/\n', 'a.in': 'a\n', other: '1' });
    const copy = ['[1/1] COPY *.in /d/'];
    const runs = [await ran(rig)];
    rig.write('app/other', '2');
    runs.push(await ran(rig));
    rig.write('app/a.in', 'b\n');
    runs.push(await ran(rig));
    renameSync(join(rig.work, 'app/a.in'), join(rig.work, 'app/b.in'));
    runs.push(await ran(rig));
    assert.deepEqual(runs, [copy, [], copy, copy]);
  });

  test('a directory of the context that becomes a file is copied as a file', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY foo /foo\n', 'foo/bar': 'in\n' });
    const first = await buildFiles(rig, ['app']);
    rmSync(join(rig.work, 'app/foo'), { recursive: true });
    rig.write('app/foo', 'file\n');
    const second = await buildFiles(rig, ['app']);
    assert.deepEqual([first.files, second.files], [{ 'foo/bar': 'in\n' }, { foo: 'file\n' }]);
  });

  test('a Dockerfile may be a link, or be called dockerfile, and has an ignore file of its own', async () => {
    await using rig = new Rig();
    rig.context('app', {
      'deploy/main': 'FROM scratch\nCOPY . /\n',
      '.dockerignore': '*.x\n',
      'deploy/main.dockerignore': '*.y\nbusybox\ndeploy\n',
      'a.x': 'x\n',
      'a.y': 'y\n',
    });
    const app = join(rig.work, 'app');
    symlinkSync('deploy/main', join(app, 'Dockerfile'));
    const linked = await buildFiles(rig, ['app']);
    const own = await buildFiles(rig, ['-f', 'app/deploy/main', 'app']);
    rmSync(join(app, 'Dockerfile'));
    writeFileSync(join(app, 'dockerfile'), 'FROM scratch\nCOPY a.y /\n');
    const small = await buildFiles(rig, ['app']);
    assert.deepEqual(
      [Object.keys(linked.files).sort(), Object.keys(own.files).sort(), small.files],
      [
        [
          '.dockerignore',
          'Dockerfile',
          'a.y',
          'busybox',
          'deploy/main',
          'deploy/main.dockerignore',
        ],
        ['.dockerignore', 'Dockerfile', 'a.x'],
        { 'a.y': 'y\n' },
      ],
    );
  });

  test('an image without layers is a base like scratch', async () => {
    await using rig = new Rig();
    rig.context('empty', { Dockerfile: 'FROM scratch\nENV A=1\n' });
    const made = await rig.varve(['build', '-q', '-t', 'empty', 'empty']);
    assert.equal(made.status, 0, made.stderr);
    rig.context('app', { Dockerfile: 'FROM empty\nCOPY f /$A\n', f: 'f\n' });
    assert.deepEqual(await buildFiles(rig, ['app']), { files: { 1: 'f\n' }, again: [] });
  });
});

describe('images of several platforms', { skip: needsSteps }, () => {
  test('images without layers go into an archive, and are bases of the same platforms', async () => {
    await using rig = new Rig();
    const platforms = '--platform=linux/amd64,linux/arm64';
    rig.context('empty', { Dockerfile: 'FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\n' });
    rig.context('next', {
      Dockerfile: 'FROM low\nCOPY $A /file\n',
      ...{ amd64: 'of amd64\n', arm64: 'of arm64\n' },
    });
    for (const args of [
      [platforms, '-o', 'type=oci,dest=low,tar=false', 'empty'],
      [platforms, '--build-context', 'low=oci-layout://low', '-o', 'files', 'next'],
    ]) {
      const run = await rig.varve(['build', '-q', ...args]);
      assert.equal(run.status, 0, run.stderr);
    }
    assert.deepEqual(readFiles(join(rig.work, 'files')), {
      'linux_amd64/file': 'of amd64\n',
      'linux_arm64/file': 'of arm64\n',
    });
  });

  test('a target of several platforms is the context of another, each platform for its own', async () => {
    await using rig = new Rig();
    const platforms = ['linux/amd64', 'linux/arm64'];
    rig.context('app', {
      'low.dockerfile': 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /who\n',
      Dockerfile: 'FROM scratch\nCOPY --from=low /who /copied\n',
      ...{ amd64: 'amd64\n', arm64: 'arm64\n' },
      'docker-bake.json': JSON.stringify({
        target: {
          low: { dockerfile: 'low.dockerfile', platforms },
          high: {
            contexts: { low: 'target:low' },
            platforms,
            output: ['type=local,dest=../files'],
          },
        },
      }),
    });
    const run = await rig.varve(['bake', '-f', 'app/docker-bake.json', 'high']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(readFiles(join(rig.work, 'files')), {
      'linux_amd64/copied': 'amd64\n',
      'linux_arm64/copied': 'arm64\n',
    });
  });
});

describe('steps of a Dockerfile build', { skip: needsSteps, concurrency: 2 }, () => {
  test('a user has the groups of the root file system, a directory is its own, one that was there keeps its owner', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: tools(
        'RUN echo app:x:500:600::/home/app:/bin/sh > /etc/passwd; printf "app:x:600:\\nmore:x:601:app\\n" > /etc/group',
        'RUN mkdir -p /home/app /there && chown 3:4 /there && chmod 777 /out',
        'USER app',
        'WORKDIR /home/app/made',
        'WORKDIR /there',
        'RUN id -G > /out/groups; echo $HOME > /out/home; hostname > /out/host',
        'USER 500',
        'RUN id -G > /out/number',
        'USER 0',
        'WORKDIR /out',
        stat('/home/app/made', '/there'),
      ),
    });
    assert.deepEqual(await buildFiles(rig, ['app']), {
      files: {
        groups: '600 601\n',
        home: '/home/app\n',
        host: 'buildkitsandbox\n',
        number: '600 601\n',
        stat: 'drwxr-xr-x 500:600 /home/app/made\ndrwxr-xr-x 3:4 /there\n',
      },
      again: [],
    });
    rig.write('app/Dockerfile', tools('RUN hostname > host'));
    const named = await buildFiles(rig, ['--build-arg', 'BUILDKIT_SANDBOX_HOSTNAME=named', 'app']);
    assert.deepEqual(named.files, { host: 'named\n' });
  });

  test('one source may be mounted twice, and a file of either place counts', async () => {
    await using rig = new Rig();
    const step =
      'RUN --mount=type=bind,source=one,target=/a --mount=type=bind,source=two,target=/b cat /a/f /b/f > both';
    rig.context('app', { Dockerfile: tools(step), 'one/f': '1\n', 'two/f': '2\n' });
    await ran(rig);
    const runs: (readonly string[])[] = [];
    for (const name of ['one', 'two']) {
      rig.write(`app/${name}/f`, 'changed\n');
      runs.push((await ran(rig)).filter((name) => name.includes('RUN')));
    }
    assert.deepEqual(runs, [[`[tools 5/5] ${step}`], [`[tools 5/5] ${step}`]]);
    assert.deepEqual((await buildFiles(rig, ['app'])).files, { both: 'changed\nchanged\n' });
  });

  test('a cache below another cache serves two stages at once', async () => {
    await using rig = new Rig();
    const mounts =
      '--mount=type=cache,id=outer,target=/foo/bar --mount=type=cache,id=inner,target=/foo/bar/baz';
    rig.context('app', {
      Dockerfile: [
        `${BUSYBOX.replace('FROM scratch', 'FROM scratch AS base')}RUN busybox mkdir /out`,
        'FROM base AS one',
        `RUN ${mounts} echo 1 > /foo/bar/baz/one; echo one > /out/one`,
        'FROM base AS two',
        `RUN ${mounts} echo 2 > /foo/bar/baz/two; echo two > /out/two`,
        'FROM base AS last',
        'COPY --from=one /out/ /out/',
        'COPY --from=two /out/ /out/',
        `RUN ${mounts} busybox ls /foo/bar/baz > /out/both; busybox test ! -e /foo/bar/baz/baz`,
        'FROM scratch',
        'COPY --from=last /out /',
        '',
      ].join('\n'),
    });
    assert.deepEqual((await buildFiles(rig, ['app'])).files, {
      both: 'one\ntwo\n',
      one: 'one\n',
      two: 'two\n',
    });
  });

  test('a cache mount begins with what a link in its source leads to inside of the stage, never outside of it', async () => {
    await using rig = new Rig();
    rig.write('outside/of', 'the host\n');
    const outside = join(rig.work, 'outside');
    const Dockerfile = (mount: string): string =>
      [
        'FROM scratch AS from',
        'COPY tree/ /',
        tools(
          `RUN --mount=type=cache,id=${mount.slice(1)},from=from,source=${mount},target=/c cp -r /c got`,
        ),
      ].join('\n');
    rig.context('app', {
      ...{ 'inside.dockerfile': Dockerfile('/in'), 'outside.dockerfile': Dockerfile('/out') },
      // What the link names in the stage, at the same place as on the host.
      [`tree${outside}/of`]: 'the stage\n',
      'tree/real/file': 'real\n',
    });
    symlinkSync('../../../real', join(rig.work, 'app/tree/in'));
    symlinkSync(outside, join(rig.work, 'app/tree/out'));
    const got: unknown[] = [];
    for (const name of ['inside', 'outside']) {
      const flags = ['-f', `app/${name}.dockerfile`, '-o', name];
      const run = await rig.varve(['build', '-q', ...flags, 'app']);
      assert.equal(run.status, 0, run.stderr);
      got.push(readFiles(join(rig.work, name, 'got')));
    }
    assert.deepEqual(got, [{ file: 'real\n' }, { of: 'the stage\n' }]);
  });

  test('a secret that a step requires and nobody gave fails it at its place', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: `${BUSYBOX}RUN --mount=type=secret,id=mine,required=true true\n`,
    });
    const run = await rig.varve(['build', '-q', 'app']);
    assert.deepEqual(
      [run.status, run.stderr.split('\n').filter((line) => /error|-->/.test(line))],
      [1, ['error[SB005]: secret mine: not found', ' --> app/Dockerfile:4:1']],
    );
  });
});
