import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { executed, imageOf, installed, json, readFiles } from '../rig/results.ts';
import { BUSYBOX, needsSteps, Rig, statesOf } from '../rig/rig.ts';

describe('what images say', { skip: needsSteps, concurrency: 2 }, () => {
  test('two platforms are an index of two images, as skopeo reads it', async (t) => {
    if (!installed('skopeo')) {
      t.skip('needs skopeo');
      return;
    }
    await using rig = new Rig();
    const Dockerfile =
      'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH.txt /arch\nLABEL arch=$TARGETARCH\n';
    rig.context('app', { Dockerfile, 'amd64.txt': 'A\n', 'arm64.txt': 'B\n' });
    const flags = ['--platform=linux/amd64,linux/arm64', '-t', 'multi:1'];
    const run = await rig.varve([
      'build',
      '--progress=plain',
      ...flags,
      '-o',
      'type=oci,dest=oci,tar=false',
      'app',
    ]);
    assert.equal(run.status, 0, run.stderr);
    const inspect = (...args: string[]): unknown =>
      json(
        execFileSync('skopeo', [...args, `oci:${join(rig.work, 'oci')}:1`], { encoding: 'utf8' }),
      );
    const index = inspect('inspect', '--raw') as {
      readonly mediaType: string;
      readonly manifests: readonly { readonly platform: unknown; readonly mediaType: string }[];
    };
    assert.deepEqual(
      { mediaType: index.mediaType, images: index.manifests.map((m) => [m.mediaType, m.platform]) },
      {
        mediaType: 'application/vnd.oci.image.index.v1+json',
        images: ['amd64', 'arm64'].map((architecture) => [
          'application/vnd.oci.image.manifest.v1+json',
          { architecture, os: 'linux' },
        ]),
      },
    );
    for (const arch of ['amd64', 'arm64']) {
      const image = inspect(`--override-arch=${arch}`, 'inspect', '--config') as {
        readonly architecture: string;
        readonly config: { readonly Labels: unknown };
      };
      assert.deepEqual([image.architecture, image.config.Labels], [arch, { arch }]);
    }
    const local = await rig.varve([
      'build',
      '--progress=rawjson',
      ...flags,
      '-o',
      'type=local,dest=files',
      'app',
    ]);
    assert.equal(local.status, 0, local.stderr);
    assert.deepEqual(executed(local.stderr), []);
    assert.deepEqual(readFiles(join(rig.work, 'files')), {
      'linux_amd64/arch': 'A\n',
      'linux_arm64/arch': 'B\n',
    });
  });

  test('a label of the command line overrides that of the Dockerfile and executes nothing', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY a /a\nLABEL x=1 y=2\n', a: 'a' });
    const first = await rig.varve(['build', '--progress=quiet', '-t', 'a', 'app']);
    assert.equal(first.status, 0, first.stderr);
    const dest = 'type=oci,dest=oci,tar=false';
    const flags = ['--label', 'y=3', '--label', 'z=a=b', '-t', 'b:1', '-o', dest];
    const run = await rig.varve(['build', '--progress=rawjson', ...flags, 'app']);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(executed(run.stderr), []);
    assert.deepEqual(imageOf(join(rig.work, 'oci')).config.Labels, { x: '1', y: '3', z: 'a=b' });
  });

  test('SOURCE_DATE_EPOCH dates the image, from an argument, the environment or an ARG', async () => {
    await using rig = new Rig();
    const body = 'FROM scratch\nARG SOURCE_DATE_EPOCH\nCOPY a /a\nLABEL epoch=$SOURCE_DATE_EPOCH\n';
    rig.context('app', { Dockerfile: body, a: 'a' });
    rig.context('arg', { Dockerfile: `ARG SOURCE_DATE_EPOCH=3000\n${body}`, a: 'a' });
    const build = async (
      args: readonly string[],
      env: Readonly<Record<string, string>> = {},
    ): Promise<unknown> => {
      const dest = join(rig.work, args.join('').replace(/\W/g, ''));
      const output = `type=oci,dest=${dest},tar=false`;
      const run = await rig.varve(['build', '--progress=plain', '-o', output, ...args], { env });
      assert.equal(run.status, 0, run.stderr);
      const { created, history, config } = imageOf(dest);
      return [created, history.map((h) => h.created), config.Labels['epoch']];
    };
    const of = (at: string, epoch: string): unknown => [at, [at, at, at], epoch];
    assert.deepEqual(
      [
        await build(['--build-arg=SOURCE_DATE_EPOCH=1000', 'app']),
        await build(['app'], { SOURCE_DATE_EPOCH: '2000' }),
        await build(['arg']),
        await build(['--build-arg=SOURCE_DATE_EPOCH=4000', 'arg']),
      ],
      [
        of('1970-01-01T00:16:40Z', '1000'),
        of('1970-01-01T00:33:20Z', '2000'),
        of('1970-01-01T00:50:00Z', '3000'),
        of('1970-01-01T01:06:40Z', '4000'),
      ],
    );
    const bad = await rig.varve(['build', '--build-arg=SOURCE_DATE_EPOCH=soon', 'app']);
    assert.equal(bad.status, 2, bad.stderr);
    assert.match(bad.stderr, /invalid SOURCE_DATE_EPOCH: soon/);
  });

  test('with rewritten times two stores make the same bytes', async () => {
    const digests: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      await using rig = new Rig();
      rig.context('app', {
        Dockerfile: `${BUSYBOX}RUN busybox mkdir /d && echo x > /d/x\nCOPY a /a\nWORKDIR /w\n`,
        a: 'same in both',
      });
      const output = 'type=oci,dest=oci,tar=false,rewrite-timestamp=true';
      const arg = '--build-arg=SOURCE_DATE_EPOCH=86400';
      const run = await rig.varve(['build', '--progress=plain', arg, '-o', output, 'app']);
      assert.equal(run.status, 0, run.stderr);
      digests.push(readFileSync(join(rig.work, 'oci/index.json'), 'utf8'));
    }
    assert.equal(digests[0], digests[1]);
  });
});

test('with type=cacheonly steps are kept and no image is made', { skip: needsSteps }, async () => {
  await using rig = new Rig();
  rig.context('app', { Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'a' });
  const build = async (...args: readonly string[]): Promise<Readonly<Record<string, string>>> => {
    const run = await rig.varve(['build', '--progress=rawjson', ...args, 'app']);
    assert.deepEqual({ status: run.status, stdout: run.stdout }, { status: 0, stdout: '' });
    return statesOf(run.stderr);
  };
  assert.deepEqual(await build('-o', 'type=cacheonly'), { '[1/1] COPY a /a': 'DONE' });
  const blobs = [...rig.files(`${rig.store}/content`)].filter(([path]) => path.includes('/blobs/'));
  assert.deepEqual(blobs, []);
  assert.deepEqual(await build(), { '[1/1] COPY a /a': 'CACHED' });
});
