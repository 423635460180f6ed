import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readHostApt } from '../../../src/packages/host-apt.ts';

class Host implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-host-'));

  constructor(files: Readonly<Record<string, string>>) {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.root, path)), { recursive: true });
      writeFileSync(join(this.root, path), text);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

test('a host without apt has no sources and needs no proxy', async () => {
  using host = new Host({});
  const apt = await readHostApt(host.root);
  assert.deepEqual(
    [
      apt.sources,
      apt.trustedKeyrings,
      apt.codename,
      apt.route.proxyFor(new URL('http://m.example/')),
    ],
    [[], [], undefined, undefined],
  );
});

test('sources of both styles are read in the order of apt, other files are not', async () => {
  using host = new Host({
    'etc/os-release': 'NAME=x\nVERSION_CODENAME="stable"\n',
    'etc/apt/sources.list': 'deb http://one.example/ stable main\n',
    'etc/apt/sources.list.d/b.list': 'deb http://three.example/ stable main\n',
    'etc/apt/sources.list.d/a.sources':
      'Types: deb\nURIs: http://two.example/\nSuites: stable\nComponents: main\n',
    'etc/apt/sources.list.d/c.list.disabled': 'deb http://no.example/ stable main\n',
    'etc/apt/sources.list.d/.hidden.list': 'deb http://no.example/ stable main\n',
    'etc/apt/trusted.gpg.d/k.gpg': '',
    'etc/apt/trusted.gpg.d/k.txt': '',
  });
  const apt = await readHostApt(host.root);
  assert.deepEqual(
    [apt.sources.map((s) => `${s.uri} ${s.origin}`), apt.codename, apt.trustedKeyrings],
    [
      [
        'http://one.example sources.list:1',
        'http://two.example a.sources:1',
        'http://three.example b.list:1',
      ],
      'stable',
      [join(host.root, 'etc/apt/trusted.gpg.d/k.gpg')],
    ],
  );
});

test("apt's own proxy goes before the environment's, a host's own before the scheme's", async () => {
  using host = new Host({
    'etc/apt/apt.conf.d/90proxy':
      'Acquire::http::Proxy "http://p.example:1"; Acquire::http::Proxy::direct.example "DIRECT";',
    'etc/apt/apt.conf.d/99ignored.bak': 'Acquire::http::Proxy "http://wrong.example:1";',
  });
  const apt = await readHostApt(host.root, {
    http: 'http://env.example:2',
    https: 'http://env.example:3',
  });
  assert.deepEqual(
    ['http://m.example/', 'http://direct.example/', 'https://m.example/'].map((url) =>
      apt.route.proxyFor(new URL(url)),
    ),
    ['http://p.example:1', undefined, 'http://p.example:1'],
  );
});

test('without a proxy of its own apt takes the environment, but not for exempt hosts', async () => {
  using host = new Host({});
  const apt = await readHostApt(host.root, {
    http: 'http://env.example:2',
    no: 'localhost, .in.example',
  });
  assert.deepEqual(
    ['http://m.example/', 'http://a.in.example/', 'http://localhost/', 'https://m.example/'].map(
      (url) => apt.route.proxyFor(new URL(url)),
    ),
    ['http://env.example:2', undefined, undefined, undefined],
  );
});

test('a password goes only to the host, scheme and path that it is for', async () => {
  using host = new Host({
    'etc/apt/auth.conf': 'machine m.example/private login user password word\n',
    'etc/apt/auth.conf.d/b.conf': '# comment\nmachine http://plain.example\nlogin a\npassword b\n',
  });
  const { authorization } = (await readHostApt(host.root)).route;
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  assert.deepEqual(
    [
      'https://m.example/private/x',
      'https://m.example/public',
      'http://m.example/private/x',
      'http://plain.example/x',
      'https://other.example/private',
    ].map((url) => authorization(new URL(url))),
    [basic('user:word'), undefined, undefined, basic('a:b'), undefined],
  );
});
