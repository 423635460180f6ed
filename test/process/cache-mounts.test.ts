import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { type FaultyProxy, startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';
import { S3_KEY, startS3 } from '../rig/s3.ts';

/** A step that appends to its cache mount and shows what is in it. */
const counting = (word: string, more = ''): string =>
  `${BUSYBOX}RUN --mount=type=cache,target=/c,id=pip${more} busybox echo ${word} >> /c/log && busybox cat /c/log > /seen\n`;

interface Built {
  readonly said: string;
  /** What the step saw in its cache mount. */
  readonly seen: string;
}

class Machines implements AsyncDisposable {
  readonly rig = new Rig();
  #builds = 0;

  constructor() {
    this.rig.context('app', {});
  }

  async build(
    store: string,
    word: string,
    args: readonly string[],
    more: {
      readonly options?: string;
      readonly env?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Built> {
    this.rig.write('app/Dockerfile', counting(word, more.options));
    const out = `out-${this.#builds++}`;
    const run = await this.rig.varve(
      ['build', '--progress=plain', ...args, '-o', `type=local,dest=${out}`, 'app'],
      { env: { VARVE_ROOT: join(this.rig.root, store), ...more.env } },
    );
    assert.equal(run.status, 0, run.stderr);
    const seen = readFileSync(join(this.rig.work, out, 'seen'), 'utf8');
    return { said: run.stderr, seen: seen.trimEnd().split('\n').join(' ') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
  }
}

const local = (dir: string): string => `type=local,src=${dir},mounts=true`;
const to = (dir: string): readonly string[] => ['--cache-to', `type=local,dest=${dir},mounts=true`];
const from = (...dirs: readonly string[]): string[] =>
  dirs.flatMap((dir) => ['--cache-from', local(dir)]);

/** Requests about cache mounts: their names have `.mount-`. */
const mountRequests = (proxy: FaultyProxy): readonly string[] =>
  proxy.seen.filter((r) => r.path.includes('.mount-')).map((r) => r.method);

/** Bytes that were uploaded. */
const uploaded = (proxy: FaultyProxy): number =>
  proxy.seen
    .filter((r) => r.method === 'PUT' || r.method === 'PATCH')
    .reduce((sum, r) => sum + Number(r.headers['content-length'] ?? 0), 0);

describe('cache mounts that leave the machine', { skip: needsSteps }, () => {
  test('a step on another machine finds what a step left, and nothing is asked for one that is cached', async () => {
    await using world = new Machines();
    await using registry = await startRegistry();
    await using proxy = await startFaultyProxy(registry.url, () => undefined);
    const ref = `type=registry,ref=${proxy.host}/team/cache:main,mounts=true`;
    const one = await world.build('one', 'a', ['--cache-to', ref]);
    assert.match(one.said, /^#\d+ \d+\.\d+ cache mount pip: 1 file, 2 B; \d+ B sent$/m);
    proxy.seen.length = 0;
    await world.build('two', 'a', ['--cache-from', ref]);
    assert.deepEqual(mountRequests(proxy), []);
    const two = await world.build('two', 'b', ['--cache-from', ref]);
    assert.equal(two.seen, 'a b');
    assert.match(
      two.said,
      /^#\d+ \d+\.\d+ cache mount pip: 1 file, 2 B restored from 127\.0\.0\.1:\d+\/team\/cache:main \(\d+ B fetched\)$/m,
    );
    assert.deepEqual(mountRequests(proxy), ['GET']);
  });

  test('initial content with a mode and an owner is the same mount on every machine', async () => {
    await using world = new Machines();
    const options = { options: ',mode=0700,uid=7' };
    await world.build('one', 'a', to('cache'), options);
    const two = await world.build('two', 'b', from('cache'), options);
    const other = await world.build('three', 'c', from('cache'), { options: ',mode=0701,uid=7' });
    assert.deepEqual([two.seen, other.seen], ['a b', 'c']);
  });

  test('a branch writes its own place only: main never sees what a pull request left', async () => {
    await using world = new Machines();
    await world.build('main', 'm', to('main'));
    const mine = (): readonly string[] =>
      readdirSync(join(world.rig.work, 'main'), { recursive: true, encoding: 'utf8' }).sort();
    const before = mine();
    // Its own place is empty yet: main's is what it falls back to.
    const first = await world.build('pr', 'p', [...from('pr', 'main'), ...to('pr')]);
    const second = await world.build('pr-again', 'q', from('pr', 'main'));
    const main = await world.build('main-again', 'n', from('main'));
    assert.deepEqual([first.seen, second.seen, main.seen, mine()], ['m p', 'm p q', 'm n', before]);
  });

  test('a newer state takes the place of an older one here, an older one does not', async () => {
    await using world = new Machines();
    await world.build('one', 'a', to('cache'));
    await world.build('two', 'b', [...from('cache'), ...to('cache')]);
    // `one` was used before `two` stored its state.
    const newer = await world.build('one', 'c', from('cache'));
    const kept = await world.build('one', 'd', from('cache'));
    assert.deepEqual([newer.seen, kept.seen], ['a b c', 'a b c d']);
  });

  test('a damaged state elsewhere is said, the step runs, and the next export mends it', async () => {
    await using world = new Machines();
    await world.build('one', 'a', to('cache'));
    cpSync(join(world.rig.work, 'cache'), join(world.rig.work, 'whole'), { recursive: true });
    const blobs = join(world.rig.work, 'cache/blobs/sha256');
    for (const name of readdirSync(blobs)) {
      const path = join(blobs, name);
      if (readFileSync(path).readUInt32LE(0) === 0xfd2fb528)
        writeFileSync(path, Buffer.alloc(statSync(path).size, 7));
    }
    const two = await world.build('two', 'b', [...from('cache'), ...to('cache')]);
    assert.equal(two.seen, 'b');
    assert.match(two.said, /CacheMountNotRestored: the cache mount pip is used as it is here: /);
    const three = await world.build('three', 'c', from('cache'));
    assert.equal(three.seen, 'b c');
  });

  test('with --no-cache a mount starts empty, whatever is elsewhere', async () => {
    await using world = new Machines();
    await world.build('one', 'a', to('cache'));
    const two = await world.build('two', 'b', ['--no-cache', ...from('cache')]);
    assert.equal(two.seen, 'b');
  });

  test('the second upload of a large mount sends what changed, and the third nothing', async () => {
    await using world = new Machines();
    await using registry = await startRegistry();
    await using proxy = await startFaultyProxy(registry.url, () => undefined);
    const ref = `type=registry,ref=${proxy.host}/team/cache:main,mounts=true`;
    await world.build('one', 'a', []);
    const mounts = join(world.rig.root, 'one/mounts');
    const key = readdirSync(mounts)[0] ?? '';
    const data = join(mounts, key, '0/data');
    for (let i = 0; i < 40; i++) writeFileSync(join(data, `wheel-${i}`), noise(`${i}`, 500_000));
    const args = ['cache', 'export', '--mounts', '--progress=quiet', '--to', ref];
    const env = { VARVE_ROOT: join(world.rig.root, 'one') };
    const sizes: number[] = [];
    for (const change of [() => undefined, grow(data), () => undefined]) {
      change();
      proxy.seen.length = 0;
      const run = await world.rig.varve(args, { env });
      assert.equal(run.status, 0, run.stderr);
      sizes.push(uploaded(proxy));
    }
    const [first = 0, second = 0, third = 0] = sizes;
    note(
      `cache mounts at a registry: ${first} bytes, one file of 500000 more ${second}, no change ${third}`,
    );
    assert.ok(first > 20_000_000 && second < first * 0.04 && third < 5_000, sizes.join(' '));
    const two = await world.build('two', 'b', ['--cache-from', ref]);
    assert.equal(two.seen, 'a b');
  });

  test('packs that a registry has lost are sent again', async () => {
    await using world = new Machines();
    await using registry = await startRegistry();
    const ref = `type=registry,ref=${registry.host}/team/cache:main,mounts=true`;
    await world.build('one', 'a', []);
    const mounts = join(world.rig.root, 'one/mounts');
    // What later exports build upon.
    writeFileSync(join(mounts, readdirSync(mounts)[0] ?? '', '0/data/wheel'), noise('w', 100_000));
    await world.build('one', 'b', ['--cache-to', ref]);
    const name = 'team/cache';
    const tags: unknown = await (await fetch(`${registry.url}/v2/${name}/tags/list`)).json();
    const tag = /main\.mount-[0-9a-f]+/.exec(JSON.stringify(tags))?.[0] ?? '';
    const answer = await fetch(`${registry.url}/v2/${name}/manifests/${tag}`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    });
    const packs = /"layers":.*?"digest": ?"(sha256:[0-9a-f]+)"/s.exec(await answer.text());
    const gone = await fetch(`${registry.url}/v2/${name}/blobs/${packs?.[1] ?? ''}`, {
      method: 'DELETE',
    });
    assert.equal(gone.status, 202);
    const lost = await world.build('two', 'x', ['--cache-from', ref]);
    assert.match(lost.said, /CacheMountNotRestored/);
    await world.build('one', 'c', ['--cache-to', ref]);
    const three = await world.build('three', 'd', ['--cache-from', ref]);
    assert.deepEqual([lost.seen, three.seen], ['x', 'a b c d']);
  });

  test('a bucket and a directory that many hosts write keep cache mounts, each scope its own', async () => {
    await using world = new Machines();
    await using s3 = await startS3();
    const env = { AWS_ACCESS_KEY_ID: S3_KEY, AWS_SECRET_ACCESS_KEY: S3_KEY };
    const bucket = `type=s3,bucket=cache,region=us-east-1,endpoint_url=${s3.url},use_path_style=true,mounts=true`;
    const shared = 'type=dir,path=shared,mounts=true';
    const seen: string[] = [];
    for (const [kind, main, pull] of [
      ['s3', `${bucket},name=main`, [`${bucket},name=pr`, `${bucket},name=main`]],
      ['dir', `${shared},scope=main`, [`${shared},scope=pr,fallback=main`]],
    ] as const) {
      const target = pull[0].replace(',fallback=main', '');
      const from = pull.flatMap((place) => ['--cache-from', place]);
      await world.build(`${kind}-1`, 'm', ['--cache-to', main], { env });
      const pr = await world.build(`${kind}-2`, 'p', [...from, '--cache-to', target], { env });
      const again = await world.build(`${kind}-3`, 'q', from, { env });
      const clean = await world.build(`${kind}-4`, 'n', ['--cache-from', main], { env });
      seen.push(`${kind}: ${[pr, again, clean].map((built) => built.seen).join(', ')}`);
    }
    assert.deepEqual(seen, ['s3: m p, m p q, m n', 'dir: m p, m p q, m n']);
  });

  test('mounts of an imported cache are found by later builds that name no cache', async () => {
    await using world = new Machines();
    await world.build('one', 'a', to('cache'));
    const env = { VARVE_ROOT: join(world.rig.root, 'two') };
    const imported = await world.rig.varve(
      ['cache', 'import', '--mounts', '--from', 'type=local,src=cache'],
      { env },
    );
    assert.equal(imported.status, 0, imported.stderr);
    assert.equal((await world.build('two', 'b', [])).seen, 'a b');
  });
});

const grow = (data: string) => (): undefined => {
  writeFileSync(join(data, 'wheel-new'), noise('new', 500_000));
  writeFileSync(join(data, '..', 'used'), '');
};

/** Bytes that do not compress and are the same in every run. */
function noise(seed: string, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++)
    parts.push(createHash('sha256').update(`${seed} ${i}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}
