import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { readJson } from '../rig/cache-graph.ts';
import { varveHere } from '../rig/in-process.ts';
import { BUSYBOX, needsSteps, Rig, type Run } from '../rig/rig.ts';
import { S3_KEY, startS3 } from '../rig/s3.ts';

const FILE = `${BUSYBOX}ARG VERSION=1
COPY a.txt b.txt /src/
RUN cat /src/b.txt > /made; echo $VERSION >> /made
COPY c.txt /c
`;

class Machines implements AsyncDisposable {
  readonly rig = new Rig();

  constructor() {
    this.rig.context('app', {
      Dockerfile: FILE,
      'a.txt': 'a\n',
      'b.txt': 'b\n',
      'c.txt': 'c\n',
    });
  }

  async run(store: string, args: readonly string[]): Promise<Run> {
    return await varveHere(this.rig, this.rig.work, args, {
      VARVE_ROOT: join(this.rig.root, store),
    });
  }

  async ok(store: string, args: readonly string[]): Promise<Run> {
    const run = await this.run(store, args);
    assert.equal(run.status, 0, run.stderr);
    return run;
  }

  /** The root causes that `varve why` names of the last build. */
  async why(store: string): Promise<readonly string[]> {
    const { stdout } = await this.ok(store, ['why', '--json']);
    const parsed = parseJson(stdout);
    assert.ok(parsed.ok, stdout);
    // The shape of why --json.
    const { causes } = parsed.value as {
      readonly causes: readonly {
        readonly cause: { readonly changes: readonly { kind: string; name: string }[] };
      }[];
    };
    return causes.flatMap(({ cause }) => cause.changes.map(({ kind, name }) => `${kind} ${name}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
  }
}

const FROM = ['--cache-from', 'type=local,src=cache'];

describe('what steps were made of travels with a cache', { skip: needsSteps }, () => {
  test('a machine that never built a step names the file or argument that changed', async () => {
    await using world = new Machines();
    const { rig } = world;
    await world.ok('a', ['build', '-q', '--cache-to', 'type=local,dest=cache,mode=max', 'app']);
    // Another checkout, with another name.
    renameSync(join(rig.work, 'app'), join(rig.work, 'checkout'));
    rig.write('checkout/b.txt', 'changed\n');
    await world.ok('b', ['build', '-q', ...FROM, 'checkout']);
    assert.deepEqual(await world.why('b'), ['file b.txt']);
    await world.ok('b', ['build', '-q', ...FROM, '--build-arg', 'VERSION=2', 'checkout']);
    assert.deepEqual(await world.why('b'), ['argument VERSION']);
    const warm = await world.run('c', ['cache', 'warm', '--progress=quiet', ...FROM, 'checkout']);
    assert.equal(warm.status, 1);
    assert.match(warm.stdout, /b\.txt changed in the build context/);
    renameSync(join(rig.work, 'checkout'), join(rig.work, 'app'));
    await world.ok('d', ['cache', 'import', '--progress=quiet', '--from', 'type=local,src=cache']);
    const plan = await world.ok('d', ['build', '--plan', '--progress=quiet', 'app']);
    assert.match(plan.stdout, /b\.txt changed in the build context/);
  });

  test('a second machine passes on what it was told and what it made itself', async () => {
    await using world = new Machines();
    const { rig } = world;
    await world.ok('a', ['build', '-q', '--cache-to', 'type=local,dest=cache,mode=max', 'app']);
    rig.write('app/c.txt', 'changed\n');
    const to = ['--cache-to', 'type=local,dest=next,mode=max'];
    await world.ok('b', ['build', '-q', ...FROM, ...to, 'app']);
    assert.deepEqual(await world.why('b'), ['file c.txt']);
    const next = ['--cache-from', 'type=local,src=next'];
    rig.write('app/c.txt', 'changed again\n');
    await world.ok('c', ['build', '-q', ...next, 'app']);
    assert.deepEqual(await world.why('c'), ['file c.txt']);
    rig.write('app/a.txt', 'changed too\n');
    await world.ok('d', ['build', '-q', ...next, 'app']);
    assert.deepEqual(await world.why('d'), ['file a.txt']);
  });

  test('a bare config of a bucket names it too', async () => {
    await using world = new Machines();
    await using s3 = await startS3();
    const place = `type=s3,bucket=cache,region=us-east-1,endpoint_url=${s3.url},use_path_style=true,access_key_id=${S3_KEY},secret_access_key=${S3_KEY}`;
    await world.ok('a', ['build', '-q', '--cache-to', `${place},mode=max`, 'app']);
    world.rig.write('app/b.txt', 'changed\n');
    await world.ok('b', ['build', '-q', '--cache-from', place, 'app']);
    assert.deepEqual(await world.why('b'), ['file b.txt']);
  });

  test('steps with a variable that is named like a secret stay at home, and so does all with decisions=false', async () => {
    await using world = new Machines();
    const { rig } = world;
    rig.write('app/Dockerfile', FILE.replaceAll('VERSION', 'API_TOKEN'));
    const args = ['--build-arg', 'API_TOKEN=hunter2'];
    const to = (dest: string, more = ''): string[] => [
      ...['--cache-to', `type=local,dest=${dest},mode=max,compression=uncompressed${more}`],
    ];
    await world.ok('a', [
      'build',
      '-q',
      ...args,
      ...to('cache'),
      ...to('none', ',decisions=false'),
      'app',
    ]);
    assert.deepEqual([traceBlobs(rig, 'cache').length, traceBlobs(rig, 'none').length], [1, 0]);
    rig.write('app/b.txt', 'changed\n');
    await world.ok('b', ['build', '-q', ...args, ...FROM, 'app']);
    const causes = await world.why('b');
    assert.ok(causes.includes('file b.txt'), causes.join());
  });

  test('a damaged blob is said, and like a missing one explains nothing', async () => {
    await using world = new Machines();
    const { rig } = world;
    await world.ok('a', ['build', '-q', '--cache-to', 'type=local,dest=cache,mode=max', 'app']);
    const [blob] = traceBlobs(rig, 'cache');
    assert.ok(blob !== undefined);
    const path = join(rig.work, 'cache/blobs', blob.replace(':', '/'));
    const good = readFileSync(path);
    rig.write('app/b.txt', 'changed\n');
    for (const name of ['flipped', 'missing']) {
      if (name === 'missing') rmSync(path);
      else writeFileSync(path, Buffer.from(good.map((byte, i) => (i === 40 ? byte ^ 1 : byte))));
      const run = await world.ok(name, ['build', '--progress=plain', ...FROM, 'app']);
      const said = run.stderr.includes('were made of is not used');
      // What is not there was never promised.
      assert.equal(said, name === 'flipped', run.stderr);
      assert.deepEqual(await world.why(name), ['first time COPY a.txt b.txt /src/'], name);
    }
  });
});

/** Digests of the blobs with traces that a cache directory names. */
function traceBlobs(rig: Rig, dir: string): readonly string[] {
  interface Named {
    readonly digest: string;
    readonly mediaType: string;
  }
  const at = join(rig.work, dir);
  const { manifests } = readJson<{ readonly manifests: readonly Named[] }>(join(at, 'index.json'));
  const manifest = join(at, 'blobs', (manifests[0]?.digest ?? '').replace(':', '/'));
  const { layers } = readJson<{ readonly layers: readonly Named[] }>(manifest);
  return layers.flatMap((each) => (each.mediaType.includes('step-traces') ? [each.digest] : []));
}
