import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import {
  debianArchitecture,
  encodeLock,
  imageConfigOf,
  lockKey,
  parseLock,
  type TemplateLock,
} from '../../../src/template/index.ts';

const LOCK: TemplateLock = {
  version: 1,
  distribution: 'debian',
  suite: 'bookworm',
  architecture: 'amd64',
  sources: [
    {
      uri: 'http://one.example/debian',
      suite: 'bookworm',
      components: ['main'],
      release: sha256('release'),
      date: 1_700_000_000,
      signers: ['AA'],
    },
  ],
  packages: [
    {
      name: 'libc6',
      version: '2.36-9',
      architecture: 'amd64',
      sha256: sha256('deb'),
      size: 3,
      path: 'pool/libc6.deb',
      source: 0,
      step: 0,
      manual: true,
      reason: 'essential',
    },
  ],
  aptSources: false,
  files: [{ path: '/etc/motd', content: 'x', mode: 0o644, uid: 0, gid: 0 }],
  users: [],
  config: { env: { A: 'b' }, entrypoint: [], cmd: ['bash'], workdir: '/', user: '', labels: {} },
};

test('a lock survives its text form', () => {
  assert.deepEqual(parseLock(encodeLock(LOCK)), { ok: true, value: LOCK });
});

const first = <T>(list: readonly T[]): T => list[0]!;
const withPackage = (change: object): TemplateLock => ({
  ...LOCK,
  packages: [{ ...first(LOCK.packages), ...change }],
});
const withSource = (change: object): TemplateLock => ({
  ...LOCK,
  sources: [{ ...first(LOCK.sources), ...change }],
});

test('the key is the same for another mirror, state of the mirror, reason and image configuration', () => {
  const same = [
    withSource({ uri: 'http://two.example/debian' }),
    withSource({ release: sha256('other'), date: 1, signers: [] }),
    withPackage({ reason: 'asked for', path: 'elsewhere.deb' }),
    { ...LOCK, config: { ...LOCK.config, env: {} } },
  ];
  assert.deepEqual(
    same.map((lock) => lockKey(lock)),
    same.map(() => lockKey(LOCK)),
  );
});

test('the key differs for other packages, files, users and a mirror written into the root', () => {
  const others = [
    LOCK,
    withPackage({ sha256: sha256('other deb') }),
    withPackage({ manual: false }),
    { ...LOCK, files: [] },
    { ...LOCK, users: [{ name: 'a', uid: 1, gid: 1, home: '/', shell: '/bin/sh', groups: [] }] },
    { ...LOCK, architecture: 'arm64' },
    { ...LOCK, aptSources: true },
    { ...withSource({ uri: 'http://two.example/debian' }), aptSources: true },
  ];
  assert.equal(new Set(others.map((lock) => lockKey(lock))).size, others.length);
});

const HOSTILE: readonly (readonly [why: string, lock: TemplateLock])[] = [
  ['a package path above the mirror', withPackage({ path: '../x.deb' })],
  ['an absolute package path', withPackage({ path: '/x.deb' })],
  ['a package name with a slash', withPackage({ name: '../x' })],
  ['a version that is an option', withPackage({ version: '$(x)' })],
  ['a digest that is none', withPackage({ sha256: 'sha256:zz' })],
  ['a source that is not listed', withPackage({ source: 7 })],
];
for (const [why, lock] of HOSTILE)
  test(`a lock with ${why} is refused`, () => {
    const parsed = parseLock(encodeLock(lock));
    assert.equal(parsed.ok ? 'accepted' : parsed.error.code, 'TP005');
  });

test("the image configuration has a path, the command and the template's own variables", () => {
  assert.deepEqual(imageConfigOf({ ...LOCK.config, labels: { b: '2', a: '1' }, user: 'app' }), {
    User: 'app',
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=b'],
    Cmd: ['bash'],
    WorkingDir: '/',
    Labels: { a: '1', b: '2' },
  });
});

test('platforms have the architecture names that Debian gives them', () => {
  const platforms = [
    { architecture: 'amd64' },
    { architecture: 'arm64', variant: 'v8' },
    { architecture: 'arm', variant: 'v7' },
    { architecture: 'arm', variant: 'v5' },
    { architecture: '386' },
    { architecture: 'wasm' },
  ];
  assert.deepEqual(platforms.map(debianArchitecture), [
    'amd64',
    'arm64',
    'armhf',
    'armel',
    'i386',
    undefined,
  ]);
});
