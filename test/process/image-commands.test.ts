import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseJson } from '../../src/base/index.ts';
import { startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig, type Run } from '../rig/rig.ts';

const FILE = `${BUSYBOX}RUN echo hello > /hello
CMD ["/bin/sh"]
`;

interface Inspected {
  readonly name: string;
  readonly digest: string;
  readonly manifest: {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string; readonly size: number }[];
  };
  readonly config: { readonly rootfs: { readonly diff_ids: readonly string[] } };
}

function json<T>(text: string): T {
  const parsed = parseJson(text);
  assert.ok(parsed.ok, text);
  // The shape of what the program prints; a wrong one fails the comparison.
  return parsed.value as T;
}

const skopeo = (...args: readonly string[]): string =>
  execFileSync('skopeo', [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

async function inspect(rig: Rig, name: string): Promise<Inspected> {
  const run = await rig.varve(['image', 'inspect', name]);
  assert.equal(run.status, 0, run.stderr);
  return json(run.stdout);
}

const silent = (stdout = ''): Run => ({ status: 0, stdout, stderr: '' });

describe('images between varve and others', { skip: needsSteps }, () => {
  test('what is built with --push is in the registry as it is here, and a second push sends no blob', async () => {
    await using rig = new Rig();
    await using server = await startRegistry();
    await using proxy = await startFaultyProxy(server.url, () => undefined);
    rig.context('app', { Dockerfile: FILE });
    const ref = `${proxy.host}/team/app:1`;
    const build = ['build', '--progress=quiet', '--push', '-t', ref, 'app'];
    assert.deepEqual(await rig.varve(build), silent());
    const here = await inspect(rig, ref);
    const direct = `docker://${server.host}/team/app:1`;
    assert.deepEqual(json(skopeo('inspect', '--raw', '--tls-verify=false', direct)), here.manifest);
    assert.deepEqual(
      json(skopeo('inspect', '--config', '--tls-verify=false', direct)),
      here.config,
    );
    const blobs = new Set([here.manifest.config, ...here.manifest.layers].map((b) => b.digest));
    const count = (method: string): number => proxy.seen.filter((r) => r.method === method).length;
    assert.deepEqual(
      [count('HEAD'), count('POST'), count('PUT')],
      [blobs.size, blobs.size, blobs.size + 1],
    );
    const pushes: readonly (readonly string[])[] = [build, ['image', 'push', '-q', ref]];
    for (const args of pushes) {
      proxy.seen.length = 0;
      const run = await rig.varve(args);
      assert.equal(run.status, 0, run.stderr);
      assert.deepEqual(
        [count('HEAD'), count('POST'), count('PATCH'), count('PUT')],
        [blobs.size, 0, 0, 1],
      );
      assert.equal(proxy.seen.at(-1)?.path, '/v2/team/app/manifests/1');
    }
  });

  test('an image is pulled, listed, named, saved, removed and loaded again without a change', async () => {
    await using rig = new Rig();
    await using server = await startRegistry();
    rig.context('app', { Dockerfile: FILE });
    const ref = `${server.host}/team/app:1`;
    await rig.varve(['build', '--progress=quiet', '--push', '-t', ref, 'app']);
    const built = await inspect(rig, ref);
    await using other = new Rig();
    assert.deepEqual(await other.varve(['image', 'pull', '-q', ref]), silent(`${built.digest}\n`));
    assert.deepEqual(await inspect(other, ref), built);
    assert.deepEqual(await other.varve(['image', 'tag', ref, 'mine:2']), silent());
    const list = await other.varve(['image', 'ls', '--json']);
    const rows = list.stdout
      .trim()
      .split('\n')
      .map((line) =>
        json<{ readonly name: string; readonly digest: string; readonly size: number }>(line),
      );
    const { config, layers } = built.manifest;
    const manifestSize = skopeo('inspect', '--raw', '--tls-verify=false', `docker://${ref}`).length;
    const configSize = json<{ readonly size: number }>(JSON.stringify(config)).size;
    const size = manifestSize + configSize + layers.reduce((sum, l) => sum + l.size, 0);
    assert.deepEqual(
      rows.map((r) => [r.name, r.digest, r.size]).sort(),
      [
        [ref, built.digest, size],
        ['docker.io/library/mine:2', built.digest, size],
      ].sort(),
    );
    const layersOf = await other.varve(['image', 'layers', '--json', 'mine:2']);
    assert.deepEqual(
      layersOf.stdout
        .trim()
        .split('\n')
        .map((line) => json(line)),
      layers.map((l, i) => ({
        createdBy: [
          'COPY busybox /bin/sh # buildkit',
          'COPY busybox /bin/busybox # buildkit',
          'RUN /bin/sh -c echo hello > /hello # buildkit',
        ][i],
        diffId: built.config.rootfs.diff_ids[i],
        digest: l.digest,
        size: l.size,
      })),
    );
    for (const format of ['oci', 'docker']) {
      const saved = await other.varve([
        'image',
        'save',
        '--format',
        format,
        '-o',
        `${format}.tar`,
        'mine:2',
      ]);
      assert.deepEqual([saved.status, saved.stdout], [0, '']);
      assert.deepEqual(
        json(
          skopeo('inspect', '--config', `${format}-archive:${join(other.work, `${format}.tar`)}`),
        ),
        built.config,
      );
    }
    assert.deepEqual(await other.varve(['image', 'rm', ref, 'mine:2']), silent());
    assert.deepEqual(await other.varve(['image', 'ls', '--json']), silent());
    assert.equal((await other.varve(['image', 'inspect', 'mine:2'])).status, 2);

    await using third = new Rig();
    third.write('oci.tar.gz', gzipSync(readFileSync(join(other.work, 'oci.tar'))));
    assert.deepEqual(
      await third.varve(['image', 'load', '-i', 'oci.tar.gz']),
      silent('docker.io/library/mine:2\n'),
    );
    assert.deepEqual(await inspect(third, 'mine:2'), { ...built, name: 'mine:2' });
    const piped = await third.varve(['image', 'load', '-i', '-', '-t', 'again'], {
      input: readFileSync(join(other.work, 'docker.tar')),
    });
    assert.deepEqual(piped, silent('docker.io/library/mine:2\ndocker.io/library/again:latest\n'));
    assert.deepEqual((await inspect(third, 'again')).config, built.config);
  });

  test('a layout directory that skopeo wrote is loaded, and one that lacks a blob is refused', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: FILE });
    await rig.varve(['build', '--progress=quiet', '-t', 'app', '-o', 'type=oci,dest=a.tar', 'app']);
    skopeo(
      'copy',
      '-q',
      `oci-archive:${join(rig.work, 'a.tar')}`,
      `oci:${join(rig.work, 'layout')}:1`,
    );
    await using other = new Rig();
    const loaded = await other.varve([
      'image',
      'load',
      '-i',
      join(rig.work, 'layout'),
      '-t',
      'app',
    ]);
    assert.deepEqual(loaded, silent('docker.io/library/app:latest\n'));
    const raw = skopeo('inspect', '--raw', `oci:${join(rig.work, 'layout')}:1`);
    const found = await inspect(other, 'app');
    assert.deepEqual(found.manifest, json(raw));
    const layer = found.manifest.layers[0]?.digest ?? '';
    execFileSync('rm', [join(rig.work, 'layout/blobs', layer.replace(':', '/'))]);
    await using third = new Rig();
    assert.deepEqual(
      await third.varve(['image', 'load', '-i', join(rig.work, 'layout'), '-t', 'app']),
      {
        status: 3,
        stdout: '',
        stderr: `error[EX032]: the layout lacks ${layer}, which it names\n`,
      },
    );
    assert.deepEqual(await third.varve(['image', 'ls', '--json']), silent());
  });

  test('an image of two platforms is pushed whole; one platform of it can be pulled but not pushed on', async () => {
    await using rig = new Rig();
    await using server = await startRegistry();
    rig.context('app', {
      Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n',
    });
    const ref = `${server.host}/two:1`;
    const platforms = '--platform=linux/amd64,linux/arm64';
    assert.deepEqual(
      await rig.varve(['build', '--progress=quiet', platforms, '--push', '-t', ref, 'app']),
      silent(),
    );
    const index = json<{
      readonly manifests: readonly { readonly platform: unknown; readonly digest: string }[];
    }>(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${ref}`));
    assert.deepEqual(
      index.manifests.map((m) => m.platform),
      [
        { architecture: 'amd64', os: 'linux' },
        { architecture: 'arm64', os: 'linux' },
      ],
    );
    skopeo(
      'copy',
      '-q',
      '--all',
      '--src-tls-verify=false',
      `docker://${ref}`,
      `oci:${join(rig.work, 'all')}:1`,
    );
    await using other = new Rig();
    const pulled = await other.varve(['image', 'pull', '-q', '--platform=linux/arm64', ref]);
    assert.equal(pulled.status, 0, pulled.stderr);
    const one = await inspect(other, ref);
    assert.deepEqual(
      one.manifest,
      json(
        skopeo(
          'inspect',
          '--raw',
          '--tls-verify=false',
          `docker://${server.host}/two@${index.manifests[1]?.digest ?? ''}`,
        ),
      ),
    );
    const pushed = await other.varve(['image', 'push', '-q', ref]);
    assert.equal(pushed.status, 3);
    assert.match(
      pushed.stderr,
      /^error\[EX005\]: .*: the store lacks linux\/amd64, which its index names\n/,
    );
  });

  test('--load keeps the image here and hands it to the Docker engine where there is one', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: FILE });
    rig.write(
      'bin/docker',
      '#!/bin/sh\n[ "$1 $2" = "load --quiet" ] && exec cat > "$HOME/loaded.tar"\n',
    );
    chmodSync(join(rig.work, 'bin/docker'), 0o755);
    const args = ['build', '--progress=plain', '--load', '-t', 'app', 'app'];
    const PATH = process.env['PATH'] ?? '';
    const with_ = await rig.varve(args, { env: { PATH: `${join(rig.work, 'bin')}:${PATH}` } });
    assert.equal(with_.status, 0, with_.stderr);
    assert.match(with_.stderr, /^#\d+ loading into the Docker engine/m);
    const here = await inspect(rig, 'app');
    assert.deepEqual(
      json(skopeo('inspect', '--config', `docker-archive:${join(rig.root, 'loaded.tar')}`)),
      here.config,
    );
    rig.write('bin/docker', '#!/bin/sh\necho the engine is away >&2\nexit 1\n');
    const away = await rig.varve(args, { env: { PATH: `${join(rig.work, 'bin')}:${PATH}` } });
    assert.equal(away.status, 3);
    assert.match(away.stderr, /^error\[EX004\]: docker load failed: the engine is away$/m);
    // The launcher is told where Node is; the runtime is looked for in directories of the system.
    const without = await rig.varve(args, {
      env: { PATH: join(rig.work, 'none'), VARVE_NODE: process.execPath },
    });
    assert.equal(without.status, 0, without.stderr);
    assert.match(
      without.stderr,
      /^#\d+ no Docker client here: the image is in the store of varve only/m,
    );
  });
});
