import assert from 'node:assert/strict';
import { readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type TarType, tarHeader } from '../../src/archive/index.ts';
import { FileServer, GitServer } from '../rig/remote.ts';
import { json } from '../rig/results.ts';
import { needsSteps, Rig } from '../rig/rig.ts';
import { listLayer } from '../rig/tar-listing.ts';

const DATE = 'Sat, 03 Feb 2024 04:05:06 GMT';
const CREATED = '2024-02-03T04:05:06Z';

/** An archive whose newest file is a minute older than its directory. */
function archive(): Uint8Array {
  const entry = (name: string, type: TarType, seconds: number): Uint8Array => {
    const mtimeNs = BigInt(seconds) * 1_000_000_000n;
    return tarHeader({
      name,
      type,
      mode: 0o755,
      uid: 0,
      gid: 0,
      size: 0,
      mtimeNs,
      xattrs: new Map(),
    });
  };
  const newest = Date.parse(CREATED) / 1000;
  const parts = [
    entry('d/', 'dir', newest + 60),
    entry('new', 'file', newest),
    entry('old', 'file', newest - 60),
  ];
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(1024)]));
}

/** The times of the history of an image of these lines, and the error of the build that failed. */
async function created(
  rig: Rig,
  lines: readonly string[],
  ...flags: readonly string[]
): Promise<unknown> {
  rig.write('app/Dockerfile', `${lines.join('\n')}\n`);
  const run = await rig.varve(['build', '-q', '-t', 'x', ...flags, 'app']);
  if (run.status !== 0) return run.stderr.split('\n', 1)[0];
  const shown = await rig.varve(['image', 'inspect', '--json', 'x']);
  assert.equal(shown.status, 0, shown.stderr);
  const { config } = json(shown.stdout) as {
    readonly config: { readonly created?: string; readonly config: { readonly Env: string[] } };
  };
  const env = config.config.Env.filter((e) => e.startsWith('SEEN'));
  return { created: config.created, env };
}

const SEEN = 'ARG SOURCE_DATE_EPOCH\nENV SEEN="${SOURCE_DATE_EPOCH-unset}"';
const at = { created: CREATED, env: [`SEEN=${Date.parse(CREATED) / 1000}`] };

describe('SOURCE_DATE_EPOCH', { skip: needsSteps, concurrency: 2 }, () => {
  test('a named context that is a download stands for its Last-Modified, an archive for its newest file', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    const body = archive();
    server.files.set('/dated', { body, lastModified: 'Fri, 02 Feb 2024 04:05:06 GMT' });
    server.files.set('/archive', { body });
    server.files.set('/plain', { body: 'text' });
    const lines = ['ARG SOURCE_DATE_EPOCH=src', 'FROM scratch', SEEN];
    const of = (path: string): Promise<unknown> =>
      created(rig, lines, `--build-context=src=${server.url(path)}`);
    assert.deepEqual(
      [await of('/dated'), await of('/archive')],
      [{ created: '2024-02-02T04:05:06Z', env: ['SEEN=1706846706'] }, at],
    );
    const plain = (await of('/plain')) as { readonly env: unknown };
    assert.deepEqual(plain.env, ['SEEN=unset']);
  });

  test('a named context that is a repository stands for the time of its commit, a directory for none', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    server.commit('repo', { f: 'f' });
    rig.context('dir', { f: '' });
    const lines = ['FROM scratch', SEEN];
    const flag = '--build-arg=SOURCE_DATE_EPOCH=src';
    const repository = await created(rig, lines, flag, `--build-context=src=${server.url('repo')}`);
    assert.deepEqual(repository, at);
    const dir = (await created(rig, lines, flag, '--build-context=src=dir')) as {
      readonly env: unknown;
    };
    assert.deepEqual(dir.env, ['SEEN=unset']);
  });

  test('a stage that is one remote ADD stands for what it adds; a build argument takes its place', async () => {
    await using server = await FileServer.start();
    await using rig = new Rig();
    server.files.set('/f', { body: 'f', lastModified: DATE });
    const lines = [
      'ARG SOURCE_DATE_EPOCH=Src',
      'ARG NAME=f',
      'FROM scratch AS src',
      'ARG HOST=',
      `ADD ${server.url('')}/\${NAME}\${HOST} /`,
      'FROM scratch',
      SEEN,
    ];
    assert.deepEqual(
      [await created(rig, lines), await created(rig, lines, '--build-arg=SOURCE_DATE_EPOCH=10')],
      [at, { created: '1970-01-01T00:00:10Z', env: ['SEEN=10'] }],
    );
  });

  test('a stage that is more than one remote ADD is refused, and so is a name that means nothing', async () => {
    await using rig = new Rig();
    const stages: readonly (readonly string[])[] = [
      ['FROM busybox AS src', 'ADD https://example.invalid/a /'],
      ['FROM scratch AS src'],
      ['FROM scratch AS src', 'ADD https://example.invalid/a /', 'ADD https://example.invalid/b /'],
      ['FROM scratch AS src', 'ADD https://example.invalid/a https://example.invalid/b /'],
      ['FROM scratch AS src', 'ADD a /'],
      ['FROM scratch AS src', 'RUN x', 'ADD https://example.invalid/a /'],
      ['FROM scratch AS other'],
    ];
    const errors: unknown[] = [];
    for (const stage of stages)
      errors.push(await created(rig, ['ARG SOURCE_DATE_EPOCH=src', ...stage, 'FROM scratch']));
    assert.deepEqual(errors, [
      'error[DF029]: SOURCE_DATE_EPOCH stage must use FROM scratch',
      'error[DF029]: SOURCE_DATE_EPOCH stage must contain exactly one remote ADD',
      'error[DF029]: SOURCE_DATE_EPOCH stage must contain exactly one remote ADD',
      'error[DF029]: SOURCE_DATE_EPOCH stage must contain exactly one remote ADD source',
      'error[DF029]: SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD',
      'error[DF029]: SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported RUN instruction',
      'error[DF029]: invalid SOURCE_DATE_EPOCH: src',
    ]);
  });

  test('rewritten timestamps are no later than the epoch, and the same whatever the times of the files were', async () => {
    await using rig = new Rig();
    rig.write('app/Dockerfile', 'FROM scratch\nCOPY old new /d/\n');
    const epoch = Date.parse(CREATED) / 1000;
    const turns: unknown[] = [];
    for (const later of [60, 90]) {
      rig.write('app/old', 'old');
      rig.write('app/new', 'new');
      utimesSync(join(rig.work, 'app/old'), epoch - 60, epoch - 60);
      utimesSync(join(rig.work, 'app/new'), epoch + later, epoch + later);
      const output = ['-o', `type=oci,dest=out${later},tar=false,rewrite-timestamp=true`];
      const flags = ['--progress=quiet', '--no-cache', '--build-arg', `SOURCE_DATE_EPOCH=${epoch}`];
      const run = await rig.varve(['build', ...flags, ...output, 'app']);
      assert.equal(run.status, 0, run.stderr);
      turns.push(listedLayers(join(rig.work, `out${later}`)));
    }
    const layer = [
      ['d/', epoch],
      ['d/new', epoch],
      ['d/old', epoch - 60],
    ];
    assert.deepEqual(turns, [[layer], [layer]]);
  });
});

/** Names and times of the entries of each layer of a layout. */
function listedLayers(layout: string): unknown {
  const blob = (digest: string): Buffer =>
    readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
  interface Digests {
    readonly manifests?: readonly { readonly digest: string }[];
    readonly layers?: readonly { readonly digest: string }[];
  }
  const index = json(readFileSync(join(layout, 'index.json'), 'utf8')) as Digests;
  const manifest = json(blob(index.manifests?.[0]?.digest ?? '').toString()) as Digests;
  return manifest.layers?.map(({ digest }) =>
    listLayer(blob(digest)).map(({ name, mtime }) => [name, mtime]),
  );
}
