import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { listDisk } from '../rig/disk-listing.ts';
import { startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';
import { listLayer } from '../rig/tar-listing.ts';

const FILE = `${BUSYBOX.replace('FROM scratch', 'FROM scratch AS base')}
FROM base AS build
ARG WHO=nobody
RUN busybox mkdir -p /out/d && echo hello $WHO > /out/d/f && busybox chmod 4751 /out/d/f \\
  && busybox ln -s f /out/d/l && busybox ln /out/d/f /out/d/h && busybox mkfifo /out/p
FROM base
COPY --from=build --chown=12:34 /out /srv
RUN echo gone > /gone && busybox mkdir /dir && echo a > /dir/a
RUN busybox rm -r /gone /dir && busybox mkdir -m 1777 /dir && echo b > /dir/b
ENV GREETING=hi
LABEL a.label="b c"
WORKDIR /srv
USER 12:34
CMD ["/bin/sh", "-c", "echo $GREETING; busybox cat d/f; busybox pwd; busybox ls /dir; busybox id -u"]
`;
const EPOCH = { SOURCE_DATE_EPOCH: '1700000000' };

const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** What a program printed as JSON, in a shape the test knows. */
function json<T>(text: string): T {
  const parsed = parseJson(text);
  assert.ok(parsed.ok);
  return parsed.value as T;
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

interface Config {
  readonly config: Readonly<Record<string, unknown>>;
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

const APP = new Rig();
let layout = '';

/** Builds the image into an OCI layout, and its tree into a directory and a tar. */
async function build(): Promise<void> {
  const rig = APP;
  rig.context('app', { Dockerfile: FILE });
  const done = await rig.varve([
    'build',
    '--progress=quiet',
    '--build-arg=WHO=world',
    ...['-o', 'type=oci,dest=oci,tar=false', '-o', 'type=local,dest=local'],
    ...['-o', 'type=tar,dest=tree.tar', '-t', 'team/app:1', 'app'],
  ]);
  assert.deepEqual(done, { status: 0, stdout: '', stderr: '' });
  layout = join(rig.work, 'oci');
}

const configOf = (): Config =>
  json<Config>(run('skopeo', 'inspect', '--config', `oci:${layout}:1`));
const manifestOf = (): Manifest =>
  json<Manifest>(run('skopeo', 'inspect', '--raw', `oci:${layout}:1`));

describe('an image of several stages', { skip: needsSteps }, () => {
  before(build);
  after(() => APP[Symbol.asyncDispose]());

  test('skopeo reads the configuration and layers that varve says it has', async () => {
    const rig = APP;
    const config = configOf();
    assert.deepEqual(config.config, {
      ArgsEscaped: true,
      User: '12:34',
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'GREETING=hi'],
      Cmd: [
        '/bin/sh',
        '-c',
        'echo $GREETING; busybox cat d/f; busybox pwd; busybox ls /dir; busybox id -u',
      ],
      WorkingDir: '/srv',
      Labels: { 'a.label': 'b c' },
    });
    const manifest = manifestOf();
    // The same image in the store of varve.
    const stored = await rig.varve([
      'build',
      '--progress=quiet',
      '--build-arg=WHO=world',
      '-t',
      'team/app:1',
      'app',
    ]);
    assert.equal(stored.status, 0, stored.stderr);
    const own = json<{ readonly manifest: Manifest; readonly config: Config }>(
      (await rig.varve(['image', 'inspect', 'team/app:1'])).stdout,
    );
    assert.deepEqual([own.manifest, own.config], [manifest, config]);
    // Each layer's own bytes have the digest of its name and, unpacked, its diffID.
    const { createHash } = await import('node:crypto');
    const { gunzipSync } = await import('node:zlib');
    const sha = (b: Uint8Array): string => `sha256:${createHash('sha256').update(b).digest('hex')}`;
    const blobs = manifest.layers.map((l) =>
      readFileSync(join(layout, 'blobs', l.digest.replace(':', '/'))),
    );
    assert.deepEqual(
      [blobs.map(sha), blobs.map((b) => sha(gunzipSync(b)))],
      [manifest.layers.map((l) => l.digest), config.rootfs.diff_ids],
    );
  });

  test('umoci unpacks the tree that type=local and type=tar write', () => {
    const rig = APP;
    const tree = treeOf();
    assert.deepEqual(
      Object.fromEntries(
        Object.entries(tree).filter(([path]) => !/^\/(?:bin|dev|proc|sys|etc)\b/.test(path)),
      ),
      {
        '/dir': 'dir 1777 0:0',
        '/dir/b': 'file 644 0:0 2 0263829989b6fd95 links 1',
        '/srv': 'dir 755 12:34',
        '/srv/d': 'dir 755 12:34',
        '/srv/d/f': 'file 4751 12:34 12 a948904f2f0f479b links 2',
        '/srv/d/h': 'file 4751 12:34 12 a948904f2f0f479b links 2',
        '/srv/d/l': 'link 12:34 -> f',
        '/srv/p': 'special 10000 644 12:34',
      },
    );
    const unpacked = join(rig.work, 'untar');
    mkdirSync(unpacked);
    run('tar', '-xpf', join(rig.work, 'tree.tar'), '-C', unpacked, '--numeric-owner');
    assert.deepEqual(listDisk(unpacked), tree);
    const local = listDisk(join(rig.work, 'local'));
    assert.deepEqual(withoutOwners(local), withoutOwners(tree));
  });

  test('buildah takes the image, and mounts the same tree', (t) => {
    const rig = APP;
    const config = configOf();
    const { buildah, mount } = buildahIn(t, rig);
    const id = buildah('pull', '-q', 'oci:oci:1').trim();
    const seen = json<{
      readonly FromImageID: string;
      readonly OCIv1: { readonly config: unknown; readonly rootfs: unknown };
    }>(buildah('inspect', '--type', 'image', id));
    assert.deepEqual(
      [`sha256:${seen.FromImageID}`, seen.OCIv1.config, seen.OCIv1.rootfs],
      [manifestOf().config.digest, config.config, config.rootfs],
    );
    assert.deepEqual(listDisk(mount(id)), treeOf());
  });

  test('runc runs the image with its user, directory, environment and command', () => {
    const rig = APP;
    const bundle = join(rig.work, 'bundle');
    run('umoci', 'unpack', '--image', `${layout}:1`, bundle);
    const path = join(bundle, 'config.json');
    const spec = json<{ readonly process: object }>(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...spec, process: { ...spec.process, terminal: false } }));
    const name = `varve-test-${process.pid}`;
    const ran = spawnSync(
      'runc',
      ['--root', join(rig.work, 'runc'), 'run', '--bundle', bundle, name],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    assert.deepEqual(
      [ran.status, ran.stdout, ran.stderr],
      [0, 'hi\nhello world\n/srv\nb\n12\n', ''],
    );
  });

  test('two stores make the same bytes of it when times are rewritten', async () => {
    const layers = async (other: string): Promise<unknown> => {
      await using rig = new Rig();
      rig.context('app', { Dockerfile: FILE, [other]: 'makes the context another one' });
      const done = await rig.varve(
        [
          'build',
          '--progress=quiet',
          ...['-o', 'type=oci,dest=oci,tar=false,rewrite-timestamp=true', '-t', 'app:1', 'app'],
        ],
        { env: EPOCH },
      );
      assert.deepEqual(done, { status: 0, stdout: '', stderr: '' });
      const own = join(rig.work, 'oci');
      const raw = run('skopeo', 'inspect', '--raw', `oci:${own}:1`);
      const times = json<Manifest>(raw).layers.flatMap((l) =>
        listLayer(readFileSync(join(own, 'blobs', l.digest.replace(':', '/')))).map(
          (entry) => entry.mtime ?? 0,
        ),
      );
      return { raw, latest: Math.max(...times) };
    };
    const first = await layers('one');
    const second = await layers('two');
    assert.deepEqual(second, first);
    assert.equal((first as { readonly latest: number }).latest, 1_700_000_000);
  });
});

describe('a disk that is full', { skip: needsSteps }, () => {
  test('a pull stops with what has arrived, and goes on from there when there is space', async () => {
    await using rig = new Rig();
    await using server = await startRegistry();
    await using proxy = await startFaultyProxy(server.url, () => undefined);
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY noise /noise\n' });
    rig.write('app/noise', randomBytes(6_000_000));
    const build = ['build', '--progress=quiet', '--push', '-t', `${server.host}/app:1`, 'app'];
    assert.deepEqual(await rig.varve(build), { status: 0, stdout: '', stderr: '' });
    const small = join(rig.root, 'small');
    mkdirSync(small);
    run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'varve-test', small);
    using _mounted = { [Symbol.dispose]: () => void run('umount', small) };
    const env = { VARVE_ROOT: small };
    const pull = ['image', 'pull', '-q', `${proxy.host}/app:1`];
    const failed = await rig.varve(pull, { env });
    assert.equal(failed.status, 3, failed.stderr);
    assert.match(failed.stderr, /^error\[ST001\]: writing.*: no space left on the disk$/m);
    run('mount', '-o', 'remount,size=50m', small);
    const done = await rig.varve(pull, { env });
    assert.deepEqual([done.status, done.stderr], [0, '']);
    const ranges = proxy.seen.flatMap((r) => r.headers['range'] ?? []);
    assert.equal(ranges.length, 1);
    assert.match(ranges.join(), /^bytes=[1-9][0-9]{6}-$/);
  });

  for (const size of ['1m', '5m']) {
    test(`with ${size} a build says so, and with more space the same store builds what an empty one does`, async () => {
      await using rig = new Rig();
      mkdirSync(rig.store);
      run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'varve-test', rig.store);
      using _mounted = { [Symbol.dispose]: () => void run('umount', rig.store) };
      rig.context('app', { Dockerfile: FILE });
      const args = [
        'build',
        '--progress=quiet',
        ...['-o', 'type=image,rewrite-timestamp=true', '-t', 'app', 'app'],
      ];
      const failed = await rig.varve(args, { env: EPOCH });
      assert.equal(failed.status, 3, failed.stderr);
      assert.match(
        failed.stderr,
        /^error\[ST001\]: writing .*: no space left on the disk\n(?:.*\n)*help: free some space.*\n$/,
      );
      run('mount', '-o', 'remount,size=100m', rig.store);
      assert.deepEqual(await rig.varve(args, { env: EPOCH }), {
        status: 0,
        stdout: '',
        stderr: '',
      });
      const digestIn = async (store: string): Promise<string> => {
        const seen = await rig.varve(['image', 'inspect', 'app'], { env: { VARVE_ROOT: store } });
        return json<{ readonly digest: string }>(seen.stdout).digest;
      };
      const other = join(rig.root, 'other');
      await rig.varve(args, { env: { ...EPOCH, VARVE_ROOT: other } });
      assert.equal(await digestIn(rig.store), await digestIn(other));
    });
  }
});

/** The tree of the image as umoci unpacks it. */
function treeOf(): Readonly<Record<string, string>> {
  const rootfs = join(APP.work, 'rootfs');
  rmSync(rootfs, { recursive: true, force: true });
  run('umoci', 'raw', 'unpack', '--image', `${layout}:1`, rootfs);
  return listDisk(rootfs);
}

/** A directory listing without owners: those of a local output are the caller's; devices and pipes are not written. */
function withoutOwners(tree: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([, line]) => !line.startsWith('special'))
      .map(([path, line]) => [path, line.replace(/ \d+:\d+/, '').replace(/ links \d+$/, '')]),
  );
}

function buildahIn(
  t: TestContext,
  rig: Rig,
): {
  readonly buildah: (...args: readonly string[]) => string;
  readonly mount: (image: string) => string;
} {
  const store = [
    ...['--root', join(rig.root, 'buildah'), '--runroot', join(rig.root, 'buildah-run')],
    ...['--storage-driver', 'vfs'],
  ];
  // Buildah makes a name of the path, which must not have capitals.
  const buildah = (...args: readonly string[]): string =>
    execFileSync('buildah', [...store, ...args], {
      cwd: rig.work,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    buildah,
    mount: (image) => {
      const container = buildah('from', '--pull=never', image).trim();
      t.after(() => spawnSync('buildah', [...store, 'rm', container]));
      return buildah('mount', container).trim();
    },
  };
}
