import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createWorkLocks } from '../../src/cachedb/index.ts';
import {
  createPackageStore,
  type PackageStore,
  type RefreshPolicy,
} from '../../src/packages/index.ts';
import { parseTemplate, type Template, type TemplateLock } from '../../src/template/index.ts';
import { DebianRepo, needsDebianTools, REPO_TIME, type TestPackage } from '../rig/debian-repo.ts';

const PACKAGES: readonly TestPackage[] = [
  {
    name: 'base',
    fields: { Essential: 'yes', Depends: 'lib (>= 1)' },
    files: { 'etc/base': 'base\n' },
  },
  { name: 'lib', version: '1:1.0', files: { 'usr/lib/lib.so': 'x'.repeat(200_000) } },
  {
    name: 'tool',
    fields: { Depends: 'lib', Recommends: 'extra' },
    files: { 'usr/bin/tool': '#!\n' },
  },
  { name: 'extra' },
];

const NOW = (REPO_TIME + 3600) * 1000;
const signal = new AbortController().signal;
let repo: DebianRepo;

before(async () => {
  if (needsDebianTools.skip !== undefined) return;
  repo = await DebianRepo.start();
  repo.add(...PACKAGES);
});
after(async () => {
  if (needsDebianTools.skip === undefined) await repo[Symbol.asyncDispose]();
});

/** A store of its own, on a host whose apt trusts the repository; `at` is its clock in milliseconds. */
class World implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-world-'));
  readonly damaged: string[] = [];
  readonly warnings: string[] = [];
  readonly store: PackageStore;
  readonly clock: { at: number };

  constructor(
    options: { readonly offline?: boolean; readonly aptConf?: string; readonly of?: World } = {},
  ) {
    const root = options.of?.dir ?? this.dir;
    this.clock = { at: NOW };
    const etc = join(this.dir, 'host/etc');
    mkdirSync(join(etc, 'apt/sources.list.d'), { recursive: true });
    writeFileSync(join(etc, 'os-release'), 'VERSION_CODENAME=stable\n');
    writeFileSync(join(etc, 'apt/apt.conf'), options.aptConf ?? '');
    writeFileSync(
      join(etc, 'apt/sources.list.d/debian.sources'),
      `Types: deb\nURIs: ${repo.uri}/\nSuites: stable\nComponents: main\nSigned-By: ${repo.keyring()}\n`,
    );
    this.store = createPackageStore({
      root: join(root, 'packages'),
      clock: { now: () => this.clock.at },
      locks: createWorkLocks(join(root, 'locks')),
      hostRoot: join(this.dir, 'host'),
      onDamage: (d) => this.damaged.push(d.name),
      ...(options.offline === true ? { offline: true } : {}),
    });
  }

  async resolve(template = ours(), refresh: RefreshPolicy = 'auto') {
    return await this.store.resolve(template, {
      architecture: 'amd64',
      refresh,
      warn: (text) => this.warnings.push(text),
      signal,
    });
  }

  async fetch(lock: TemplateLock, name: string) {
    const wanted = lock.packages.find((p) => p.name === name);
    assert.ok(wanted);
    return await this.store.obtain(lock, wanted, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function template(text: string): Template {
  const parsed = parseTemplate({ path: 'os.yml', text });
  assert.ok(parsed.ok);
  return parsed.value;
}

const ours = (more = ''): Template =>
  template(`suite: stable\nvariant: essential\npackages: [tool]\n${more}`);
const mirrored = (more = ''): Template =>
  ours(`mirrors: [{uri: "${repo.uri}", signed-by: ${repo.keyring()}}]\n${more}`);

const told = (result: {
  readonly ok: boolean;
  readonly error?: { code: string; message: string };
}) =>
  result.ok ? ['ok'] : [result.error?.code, result.error?.message.replaceAll(repo.uri, 'MIRROR')];

async function locked(world: World, wanted = ours()): Promise<TemplateLock> {
  const lock = await world.resolve(wanted);
  assert.ok(lock.ok, lock.ok ? '' : lock.error.message);
  return lock.value;
}

/** Each test starts with the repository as published at REPO_TIME. */
function publish(fields: Readonly<Record<string, string>> = {}, key?: string): void {
  repo.publish('stable', { fields, ...(key === undefined ? {} : { key }) });
  repo.intercept = () => false;
  repo.requests.length = 0;
}

test("a template is locked from the host's own apt sources", needsDebianTools, async () => {
  publish();
  await using world = new World();
  const lock = await locked(world);
  assert.deepEqual(
    {
      sources: lock.sources.map(({ suite, components, date }) => ({ suite, components, date })),
      packages: lock.packages.map((p) => [p.name, p.version, p.step, p.manual, p.reason]),
    },
    {
      sources: [{ suite: 'stable', components: ['main'], date: REPO_TIME }],
      packages: [
        ['base', '1.0', 0, true, 'essential'],
        ['lib', '1:1.0', 0, false, 'needed by base (Depends: lib (>= 1))'],
        ['tool', '1.0', 1, true, 'asked for'],
      ],
    },
  );
});

test(
  'packages are fetched once, and offline from the store afterwards',
  needsDebianTools,
  async () => {
    publish();
    await using world = new World();
    const lock = await locked(world);
    for (const p of lock.packages) assert.ok((await world.fetch(lock, p.name)).ok);
    const sent = repo.requests.length;
    await using offline = new World({ offline: true, of: world });
    const again = await locked(offline);
    assert.deepEqual(again, lock);
    for (const p of again.packages) assert.ok((await offline.fetch(again, p.name)).ok);
    assert.equal(repo.requests.length, sent);
  },
);

test('a mirror that says "unchanged" is asked for nothing else', needsDebianTools, async () => {
  publish();
  await using world = new World();
  const lock = await locked(world);
  repo.requests.length = 0;
  assert.deepEqual(await world.resolve(ours(), 'always'), { ok: true, value: lock });
  assert.deepEqual(repo.requests, ['/dists/stable/InRelease']);
});

test(
  'within ten minutes the mirror is not asked again, later it is',
  needsDebianTools,
  async () => {
    publish();
    await using world = new World();
    await locked(world);
    repo.requests.length = 0;
    world.clock.at += 9 * 60_000;
    await locked(world);
    assert.deepEqual(repo.requests, []);
    world.clock.at += 2 * 60_000;
    await locked(world);
    assert.deepEqual(repo.requests, ['/dists/stable/InRelease']);
  },
);

test('what is not cached cannot be had offline', needsDebianTools, async () => {
  publish();
  await using world = new World({ offline: true });
  assert.deepEqual(told(await world.resolve()), [
    'PK003',
    'MIRROR/dists/stable/InRelease has not been fetched yet',
  ]);
});

test('a tampered Release file is refused', needsDebianTools, async () => {
  publish();
  repo.edit('dists/stable/InRelease', (b) =>
    b.toString().replace('Origin: Debian', 'Origin: Debiam'),
  );
  await using world = new World();
  const [code, message] = told(await world.resolve());
  assert.equal(code, 'PK011');
  assert.match(message ?? '', /is not properly signed: signature by [0-9A-F]{40}: /);
});

test('text behind the signed part is not read', needsDebianTools, async () => {
  publish();
  repo.edit(
    'dists/stable/InRelease',
    (b) => `${b.toString()}\nSHA256:\n ${'0'.repeat(64)} 1 main/binary-amd64/Packages.gz\n`,
  );
  await using world = new World();
  const result = told(await world.resolve());
  assert.ok(result[0] === 'ok' || result[0] === 'PK011', String(result));
});

test('an unsigned Release file is refused', needsDebianTools, async () => {
  publish();
  repo.edit('dists/stable/InRelease', () => 'Origin: Debian\n');
  await using world = new World();
  assert.deepEqual(told(await world.resolve()), [
    'PK011',
    'MIRROR/dists/stable/InRelease is not properly signed: it is no clear-signed document',
  ]);
});

test(
  'a Release file signed by a key that is not trusted is refused',
  needsDebianTools,
  async () => {
    publish({}, 'stranger');
    await using world = new World();
    const [code, message] = told(await world.resolve());
    assert.equal(code, 'PK012');
    assert.match(
      message ?? '',
      /^MIRROR\S+ is signed by keys that are not in \S+archive\.gpg: [0-9A-F]{16}$/,
    );
  },
);

const EXPIRED = { 'Valid-Until': 'Thu, 09 Oct 2025 08:53:20 UTC' };

test('an expired Release file is refused', needsDebianTools, async () => {
  publish(EXPIRED);
  await using world = new World();
  world.clock.at += 86_400_000;
  assert.deepEqual(told(await world.resolve()), [
    'PK013',
    'MIRROR/dists/stable/InRelease expired on 2025-10-09T08:53:20Z',
  ]);
});

test(
  "the host's apt may accept expired files of its own sources, with a warning",
  needsDebianTools,
  async () => {
    publish(EXPIRED);
    await using world = new World({ aptConf: 'Acquire::Check-Valid-Until "false";' });
    world.clock.at += 86_400_000;
    assert.ok((await world.resolve()).ok);
    assert.deepEqual(
      world.warnings.map((w) => w.replaceAll(repo.uri, 'MIRROR')),
      [
        "MIRROR/dists/stable/InRelease expired on 2025-10-09T08:53:20Z; accepted because the host's apt does not check it",
      ],
    );
    assert.deepEqual(told(await world.resolve(mirrored(), 'always'))[0], 'PK013');
  },
);

test('a Release file of another suite is refused', needsDebianTools, async () => {
  publish({ Suite: 'testing', Codename: 'testing' });
  await using world = new World();
  assert.deepEqual(told(await world.resolve()), [
    'PK014',
    'MIRROR/dists/stable/InRelease is for testing, not for stable',
  ]);
});

test('a Release file from the future is refused', needsDebianTools, async () => {
  publish();
  await using world = new World();
  world.clock.at -= 2 * 86_400_000;
  // The signature itself would be from the future too.
  assert.match(String(told(await world.resolve())[0]), /^PK01[15]$/);
});

test('an older Release file than the one seen before is refused', needsDebianTools, async () => {
  publish();
  await using world = new World();
  await locked(world);
  repo.publish('stable', { fields: { Date: 'Wed, 01 Oct 2025 00:00:00 UTC' } });
  assert.deepEqual(told(await world.resolve(ours(), 'always')), [
    'PK016',
    'MIRROR/dists/stable/InRelease is of 2025-10-01T00:00:00Z, but one of 2025-10-09T08:53:20Z was seen before',
  ]);
});

test('a snapshot refuses what is newer than it', needsDebianTools, async () => {
  publish(EXPIRED);
  await using world = new World();
  world.clock.at += 30 * 86_400_000;
  const at = (time: string) => mirrored(`snapshot: ${time}\n`);
  assert.equal(told(await world.resolve(at('20251001T000000Z')))[0], 'PK015');
  assert.deepEqual(told(await world.resolve(at('20251010T000000Z'))), ['ok']);
});

test('an index that is not the signed one is refused', needsDebianTools, async () => {
  publish();
  repo.edit('dists/stable/main/binary-amd64/Packages.gz', (b) =>
    Buffer.concat([b.subarray(0, -1), Buffer.of(7)]),
  );
  await using world = new World();
  assert.deepEqual(told(await world.resolve()), [
    'PK040',
    'main/binary-amd64/Packages.gz of MIRROR/ stable from MIRROR/dists/stable/main/binary-amd64/Packages.gz is not the file that the signed index names',
  ]);
});

const LIB = '/pool/main/lib_1%3a1.0_amd64.deb';

test(
  'a package that is not the signed one is refused, and nothing of it stays',
  needsDebianTools,
  async () => {
    publish();
    await using world = new World();
    const lock = await locked(world);
    repo.intercept = (request, response) => {
      if (!(request.url ?? '').includes('lib_')) return false;
      response.end(Buffer.alloc(lock.packages.find((p) => p.name === 'lib')?.size ?? 0, 1));
      return true;
    };
    const [code, message] = told(await world.fetch(lock, 'lib'));
    assert.equal(code, 'PK040');
    assert.match(
      message ?? '',
      /^lib 1:1\.0 \(amd64\) from MIRROR\S+ is not the file that the signed index names$/,
    );
    assert.deepEqual(readdirSync(join(world.dir, 'packages/pool/partial')), []);
    repo.intercept = () => false;
    assert.deepEqual(told(await world.fetch(lock, 'lib')), ['ok']);
  },
);

test('a package longer than promised is cut off and refused', needsDebianTools, async () => {
  publish();
  await using world = new World();
  const lock = await locked(world);
  repo.intercept = (request, response) => {
    if (!(request.url ?? '').includes('lib_')) return false;
    response.end(Buffer.alloc(50_000_000, 1));
    return true;
  };
  const [code, message] = told(await world.fetch(lock, 'lib'));
  assert.equal(code, 'PK040');
  assert.match(message ?? '', /is longer than the signed index says/);
  repo.intercept = () => false;
});

test('an interrupted download goes on where it stopped', needsDebianTools, async () => {
  publish();
  await using world = new World();
  const lock = await locked(world);
  const bytes = readFileSync(join(repo.files, LIB));
  let cut: (() => void) | undefined;
  repo.intercept = (request, response) => {
    if (!(request.url ?? '').includes('lib_') || cut !== undefined) return false;
    cut = () => response.destroy();
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 100));
    return true;
  };
  repo.requests.length = 0;
  const wanted = lock.packages.find((p) => p.name === 'lib');
  assert.ok(wanted);
  const progress = (current: number): void => {
    if (current === 100) cut?.();
  };
  const got = await world.store.obtain(lock, wanted, { signal, progress });
  assert.ok(got.ok);
  assert.deepEqual(readFileSync(got.value), bytes);
  assert.deepEqual(repo.requests, [LIB, `${LIB} bytes=100-`]);
});

test('a server that is busy is asked again', needsDebianTools, async () => {
  publish();
  let refusals = 2;
  repo.intercept = (_request, response) => {
    if (refusals-- <= 0) return false;
    response.writeHead(503).end();
    return true;
  };
  await using world = new World();
  assert.deepEqual(told(await world.resolve()), ['ok']);
});

test(
  'a package damaged in the store is moved aside, reported and fetched again',
  needsDebianTools,
  async () => {
    publish();
    await using world = new World();
    const lock = await locked(world);
    const first = await world.fetch(lock, 'lib');
    assert.ok(first.ok);
    const bytes = readFileSync(first.value);
    writeFileSync(first.value, Buffer.concat([bytes.subarray(0, -1), Buffer.of(0xff)]));
    const second = await world.fetch(lock, 'lib');
    assert.ok(second.ok);
    assert.deepEqual(readFileSync(second.value), bytes);
    assert.deepEqual(world.damaged, ['lib 1:1.0 (amd64)']);
    assert.equal(readdirSync(join(world.dir, 'packages/pool/quarantine')).length, 1);
  },
);

test('an index damaged in the store is fetched again', needsDebianTools, async () => {
  publish();
  await using world = new World();
  const lock = await locked(world);
  for (const dir of ['index', 'lock'])
    for (const name of readdirSync(join(world.dir, 'packages', dir)))
      writeFileSync(join(world.dir, 'packages', dir, name), 'damaged\n');
  assert.deepEqual(await locked(world), lock);
});

test('two requests for one package send one download', needsDebianTools, async () => {
  publish();
  await using world = new World();
  const lock = await locked(world);
  repo.requests.length = 0;
  const got = await Promise.all([world.fetch(lock, 'lib'), world.fetch(lock, 'lib')]);
  assert.ok(got.every((g) => g.ok));
  assert.deepEqual(repo.requests, [LIB]);
});

test(
  'a package that does not exist is named with the one that was meant',
  needsDebianTools,
  async () => {
    publish();
    await using world = new World();
    const result = await world.resolve(
      template('suite: stable\nvariant: essential\npackages: [tol]\n'),
    );
    assert.deepEqual(
      result.ok ? [] : [result.error.code, result.error.message, result.error.help],
      ['PK031', 'no package tol in stable', 'did you mean "tool"?'],
    );
  },
);
