import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Result, renderFailure } from '../../src/base/index.ts';
import { createWorkLocks } from '../../src/cachedb/index.ts';
import { createPackageStore } from '../../src/packages/index.ts';
import { parseRpmTemplate, type TemplateLock } from '../../src/template/index.ts';
import { REPO_TIME } from '../rig/debian-repo.ts';
import { needsRpmTools, RpmRepo } from '../rig/rpm-repo.ts';

const signal = new AbortController().signal;
let repo: RpmRepo | undefined;

before(async () => {
  if (needsRpmTools.skip !== undefined) return;
  repo = await RpmRepo.start();
  repo.add([
    { name: 'rpm' },
    { name: 'app', tags: ['Requires: lib >= 2', 'Requires: /opt/lib/data'] },
    { name: 'lib', version: '1' },
    { name: 'lib', version: '2', files: { 'opt/lib/data': 'data\n' } },
    { name: 'lone', tags: ['Requires: nowhere'] },
    { name: 'foe', tags: ['Conflicts: app'] },
    ...['p1', 'p2', 'p3', 'p4', 'p5'].map((name) => ({ name, files: { [`opt/${name}`]: name } })),
  ]);
});
after(async () => await repo?.[Symbol.asyncDispose]());

/** A package store of its own, and the repository in its first state. */
class World implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-rpm-'));
  readonly repo: RpmRepo;
  readonly warnings: string[] = [];
  now = (REPO_TIME + 3600) * 1000;

  constructor() {
    assert.ok(repo);
    this.repo = repo;
    repo.publish();
    repo.intercept = () => false;
    repo.requests.length = 0;
  }

  store(offline = false) {
    return createPackageStore({
      root: join(this.dir, 'packages'),
      clock: { now: () => this.now },
      locks: createWorkLocks(join(this.dir, 'locks')),
      hostRoot: join(this.dir, 'host'),
      offline,
      onDamage: (d) => this.warnings.push(`damaged: ${d.name}`),
    });
  }

  async resolve(
    packages: string,
    keys = this.repo.key(),
    more = '',
  ): Promise<Result<TemplateLock>> {
    const text = `distribution: tiny\nrelease: "1"\narchitecture: x86_64\nrepositories:\n  - {uri: "${this.repo.uri}", keys: ["${keys}"]${more}}\npackages: [${packages}]\n`;
    const template = parseRpmTemplate({ path: 'base.yml', text });
    assert.ok(template.ok);
    await using store = this.store();
    return await store.resolve(template.value, {
      architecture: 'amd64',
      refresh: 'always',
      warn: (w) => this.warnings.push(w),
      signal,
    });
  }

  async obtain(lock: TemplateLock, offline = false): Promise<readonly string[]> {
    await using store = this.store(offline);
    const said: string[] = [];
    for (const wanted of lock.packages) {
      const got = await store.obtain(lock, wanted, { signal });
      said.push(got.ok ? wanted.name : `${got.error.code} ${got.error.message}`);
    }
    return said;
  }

  /** Where the files of packages lie in the store. */
  blobs(lock: TemplateLock): readonly string[] {
    return lock.packages.map((p) => {
      const hex = p.sha256.slice('sha256:'.length);
      return join(this.dir, 'packages/pool', hex.slice(0, 2), hex);
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const chosen = (lock: Result<TemplateLock>): readonly string[] =>
  lock.ok
    ? lock.value.packages.map((p) => `${p.name} ${p.version}: ${p.reason}`)
    : renderFailure(lock.error)
        .split('\n')
        .filter((line) => line !== '');
const code = (lock: Result<TemplateLock>): string => (lock.ok ? 'ok' : lock.error.code);

test(
  'packages are chosen with their reasons, by paths too that only complete lists have',
  needsRpmTools,
  async () => {
    using world = new World();
    assert.deepEqual(chosen(await world.resolve('app')), [
      'app 1-1: asked for',
      'lib 2-1: needed by app (Requires: /opt/lib/data)',
    ]);
    assert.deepEqual(chosen(await world.resolve('"/opt/lib/data"')), [
      'lib 2-1: asked for (/opt/lib/data)',
    ]);
    assert.deepEqual(chosen(await world.resolve('lib=1')), ['lib 1-1: asked for']);
  },
);

test(
  'what cannot be installed is said with the chain that leads there',
  needsRpmTools,
  async () => {
    using world = new World();
    const lone = await world.resolve('lone');
    assert.deepEqual(
      lone.ok ? [] : [lone.error.code, lone.error.message, ...(lone.error.details ?? [])],
      [
        'PK030',
        'lone cannot be installed',
        'lone is asked for: lone-1-1.noarch',
        'lone-1-1.noarch needs nowhere, which nothing provides',
      ],
    );
    const foe = await world.resolve('app, foe');
    assert.deepEqual(
      foe.ok ? [] : [foe.error.code, foe.error.message, ...(foe.error.details ?? [])],
      [
        'PK030',
        'app, foe cannot be installed together',
        'app is asked for: app-1-1.noarch',
        'foe is asked for: foe-1-1.noarch',
        'foe-1-1.noarch conflicts with app: app-1-1.noarch',
      ],
    );
    const unknown = await world.resolve('ap');
    assert.deepEqual(unknown.ok ? '' : [unknown.error.code, unknown.error.help], [
      'PK031',
      'did you mean "app"?',
    ]);
  },
);

test(
  'a signature is needed, by a key that is named, over what is served',
  needsRpmTools,
  async () => {
    using world = new World();
    assert.equal(code(await world.resolve('p1', world.repo.key('stranger'))), 'PK012');
    world.repo.edit('repodata/repomd.xml', (bytes) =>
      bytes.toString().replace('<repomd', '<repomd '),
    );
    assert.equal(code(await world.resolve('p1')), 'PK011');
    world.repo.publish({ key: '' });
    const unsigned = await world.resolve('p1');
    assert.deepEqual(
      unsigned.ok
        ? ''
        : [unsigned.error.code, unsigned.error.message.replace(/^.*repomd.xml is/, 'it is')],
      ['PK011', 'it is not properly signed: there is no repomd.xml.asc beside it'],
    );
  },
);

test(
  'an older state, one of the future and one that is too old are refused',
  needsRpmTools,
  async () => {
    using world = new World();
    assert.equal(code(await world.resolve('p1')), 'ok');
    world.repo.publish({ revision: REPO_TIME - 86_400 });
    assert.equal(code(await world.resolve('p1')), 'PK016');
    world.repo.publish({ revision: REPO_TIME + 86_400 });
    assert.equal(code(await world.resolve('p1')), 'PK015');
    world.repo.publish();
    world.now += 40 * 86_400_000;
    assert.equal(code(await world.resolve('p1', world.repo.key(), ', max-age: 30')), 'PK013');
    assert.equal(code(await world.resolve('p1', world.repo.key(), ', max-age: 50')), 'ok');
  },
);

test('metadata that is not what the signed index names is refused', needsRpmTools, async () => {
  using world = new World();
  const [primary = ''] = readdirSync(join(world.repo.files, 'repodata')).filter((n) =>
    n.endsWith('-primary.xml.gz'),
  );
  world.repo.edit(`repodata/${primary}`, (bytes) => {
    const changed = Buffer.from(bytes);
    changed[changed.length - 1] = 255 - (changed.at(-1) ?? 0);
    return changed;
  });
  assert.equal(code(await world.resolve('p1')), 'PK040');
});

test(
  'five damaged packages in the store are set aside, fetched again and reported',
  needsRpmTools,
  async () => {
    using world = new World();
    const lock = await world.resolve('p1, p2, p3, p4, p5');
    assert.ok(lock.ok);
    assert.deepEqual(await world.obtain(lock.value), ['p1', 'p2', 'p3', 'p4', 'p5']);
    const kept = world.blobs(lock.value).map((path) => readFileSync(path));
    const damages: ((bytes: Buffer) => Buffer)[] = [
      (b) => b.subarray(0, b.length / 2),
      () => Buffer.alloc(0),
      (b) => Buffer.concat([b, Buffer.from('x')]),
      (b) => Buffer.concat([b.subarray(0, 200), Buffer.from([(b[200] ?? 0) ^ 1]), b.subarray(201)]),
      (b) => Buffer.alloc(b.length),
    ];
    for (const [i, path] of world.blobs(lock.value).entries())
      writeFileSync(path, damages[i]?.(kept[i] ?? Buffer.alloc(0)) ?? '');
    assert.deepEqual(await world.obtain(lock.value), ['p1', 'p2', 'p3', 'p4', 'p5']);
    assert.deepEqual(
      world.blobs(lock.value).map((path) => readFileSync(path)),
      kept,
    );
    assert.deepEqual(
      world.warnings.sort(),
      ['p1', 'p2', 'p3', 'p4', 'p5'].map((n) => `damaged: ${n} 1-1 (noarch)`),
    );
  },
);

test(
  'a download that stops is resumed, a wrong file is refused, and without a network the store is enough',
  needsRpmTools,
  async () => {
    using world = new World();
    const lock = await world.resolve('p1');
    assert.ok(lock.ok);
    const [wanted] = lock.value.packages;
    assert.ok(wanted);
    let cut: (() => void) | undefined;
    world.repo.intercept = (request, response) => {
      if (request.url?.endsWith('/p1-1-1.noarch.rpm') !== true || cut !== undefined) return false;
      cut = () => response.destroy();
      const bytes = readFileSync(join(world.repo.files, 'Packages/p1-1-1.noarch.rpm'));
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 1000));
      return true;
    };
    {
      await using store = world.store();
      const progress = (current: number): void => {
        if (current === 1000) cut?.();
      };
      assert.ok((await store.obtain(lock.value, wanted, { signal, progress })).ok);
    }
    const asked = world.repo.requests.filter((r) => r.includes('p1-1-1'));
    assert.deepEqual(asked, [
      '/Packages/p1-1-1.noarch.rpm',
      '/Packages/p1-1-1.noarch.rpm bytes=1000-',
    ]);
    world.repo.intercept = (_request, response) => {
      response.writeHead(200).end('something else');
      return true;
    };
    assert.deepEqual(await world.obtain(lock.value, true), ['p1']);
    const [blob = ''] = world.blobs(lock.value);
    rmSync(blob);
    assert.deepEqual(
      (await world.obtain(lock.value)).map((m) => m.slice(0, 5)),
      ['PK040'],
    );
    assert.deepEqual(
      (await world.obtain(lock.value, true)).map((m) => m.slice(0, 5)),
      ['PK003'],
    );
  },
);

test(
  'a package without a signature, or by another key, is refused whenever it is used',
  needsRpmTools,
  async () => {
    using world = new World();
    const { repo: made } = world;
    try {
      made.add([{ name: 'bare' }], '');
      made.add([{ name: 'foreign' }], 'stranger');
      made.publish();
      const lock = await world.resolve('bare, foreign, p1');
      assert.ok(lock.ok);
      for (let use = 0; use < 2; use++)
        assert.deepEqual(
          (await world.obtain(lock.value)).map((m) => m.replace(/ keys .*/, '')),
          [
            'PK043 bare 1-1 (noarch): its header is not signed',
            'PK043 foreign 1-1 (noarch): it is signed by',
            'p1',
          ],
        );
    } finally {
      made.remove('bare-1-1.noarch.rpm', 'foreign-1-1.noarch.rpm');
    }
  },
);

test(
  'signatures of several keys, of subkeys and of keys that expired since hold, those over SHA-1 do not',
  needsRpmTools,
  async () => {
    using world = new World();
    const { repo: made } = world;
    const repomd = join(made.files, 'repodata/repomd.xml');
    const keyOf = (name: string): string => {
      const path = join(world.dir, `${name}.asc`);
      writeFileSync(path, made.gpg(['--armor', '--export', `${name}@repo.example`]));
      return path;
    };
    const sign = (name: string, ...more: readonly string[]): void =>
      void made.gpg([
        ...['--local-user', `${name}@repo.example`, ...more],
        ...['--armor', '--detach-sign', repomd],
      ]);
    const make = (name: string, ...rest: readonly string[]): void =>
      void made.gpg(['--quick-gen-key', `${name} <${name}@repo.example>`, ...rest]);
    make('parent', 'ed25519', 'cert', 'never');
    const listed = made.gpg(['--with-colons', '--list-keys', 'parent@repo.example']).toString();
    const [, parent = ''] = /^fpr:+([0-9A-F]{40}):/m.exec(listed) ?? [];
    made.gpg(['--quick-add-key', parent, 'ed25519', 'sign', 'never']);
    make('expired', 'rsa2048', 'sign', 'seconds=500');
    const found: Record<string, unknown> = {};
    sign('parent');
    const bySubkey = await world.resolve('p1', keyOf('parent'));
    found['subkey'] = bySubkey.ok && bySubkey.value.sources.map((s) => s.signers);
    found['one of several'] = code(
      await world.resolve('p1', `${made.key()}", "${keyOf('parent')}`),
    );
    sign('expired');
    found['expired since'] = code(await world.resolve('p1', keyOf('expired')));
    sign('vendor', '--digest-algo', 'SHA1');
    const weak = await world.resolve('p1');
    found['SHA-1'] = weak.ok
      ? ''
      : [weak.error.code, weak.error.message.replaceAll(/http\S+|[0-9A-F]{40}/g, 'X')];
    const address = await world.resolve('p1', 'https://vendor.example/key.asc');
    found['an address'] = address.ok ? '' : [address.error.code, address.error.message];
    assert.deepEqual(found, {
      subkey: [[parent]],
      'one of several': 'ok',
      'expired since': 'ok',
      'SHA-1': [
        'PK011',
        'X is not properly signed: signature by X: Insecure message hash algorithm: SHA1',
      ],
      'an address': [
        'PK004',
        'keyring https://vendor.example/key.asc is an address: keys are not fetched',
      ],
    });
  },
);

test(
  'a repository may keep packages back, says that its modules are unknown, and needs more than zchunk',
  needsRpmTools,
  async () => {
    using world = new World();
    const { repo: made } = world;
    const kept = await world.resolve('p1', made.key(), ', exclude: ["p[1-3]"]');
    const rewrite = (change: (text: string) => string): void => {
      made.edit('repodata/repomd.xml', (bytes) => change(bytes.toString()));
      rmSync(join(made.files, 'repodata/repomd.xml.asc'));
      made.gpg([
        ...['--local-user', 'vendor@repo.example', '--armor', '--detach-sign'],
        join(made.files, 'repodata/repomd.xml'),
      ]);
    };
    rewrite((text) => text.replace('type="other"', 'type="modules"'));
    const modular = await world.resolve('p1');
    rewrite((text) => text.replace('type="primary"', 'type="primary_zck"'));
    const zchunk = await world.resolve('p1');
    assert.deepEqual(
      {
        kept: code(kept),
        modular: code(modular),
        warned: world.warnings.map((w) => w.replace(`${made.uri}/`, 'URI')),
        zchunk: zchunk.ok ? '' : [zchunk.error.code, zchunk.error.help],
      },
      {
        kept: 'PK031',
        modular: 'ok',
        warned: Array(2).fill(
          'URI has modules, whose streams are not known here: packages are chosen by version; leave out what you do not want with "exclude"',
        ),
        zchunk: ['PK022', 'it has them for zchunk only (primary_zck), which is not read here'],
      },
    );
  },
);
