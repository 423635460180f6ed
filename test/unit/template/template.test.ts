import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderFailure } from '../../../src/base/index.ts';
import { parseTemplate } from '../../../src/template/index.ts';

const parse = (text: string) => parseTemplate({ path: 'os.yml', text });
const problem = (text: string): string => {
  const parsed = parse(text);
  return parsed.ok ? 'no failure' : renderFailure(parsed.error);
};

test('a template with only a suite gets every default', () => {
  const text = 'suite: bookworm\n';
  const parsed = parse(text);
  assert.deepEqual(parsed, {
    ok: true,
    value: {
      kind: 'debian-root',
      file: { path: 'os.yml', text },
      distribution: 'debian',
      suite: 'bookworm',
      components: ['main'],
      mirrors: [],
      variant: 'minbase',
      packages: [],
      exclude: [],
      recommends: false,
      aptSources: false,
      files: [],
      users: [],
      config: { env: {}, entrypoint: [], cmd: ['bash'], workdir: '/', user: '', labels: {} },
    },
  });
});

test('every key of a template arrives typed, with mirrors completed from the suite and the snapshot', () => {
  const text = `distribution: debian
suite: trixie
architecture: arm64
components: [main, contrib]
mirrors:
  - uri: https://mirror.example/archive/{snapshot}/
    signed-by: /etc/keys/a.gpg
    priority: 900
  - uri: file:///srv/local
    suites: [local]
    components: [extra]
keyring: /usr/share/keyrings/k.gpg
snapshot: 20260131T000000Z
variant: essential
packages: [curl, "nano=7.*", "git/trixie-backports"]
exclude: [vim]
recommends: true
files:
  - {path: /etc/motd, content: "hello\\n", mode: "0600"}
users:
  - {name: app, uid: 1000, groups: [adm]}
env: {A: b}
entrypoint: [/bin/app]
workdir: /srv
user: app
labels: {k: v}
`;
  const parsed = parse(text);
  const at = (word: string) => ({ offset: text.indexOf(word), length: word.length });
  assert.deepEqual(parsed.ok && { ...parsed.value, file: undefined }, {
    kind: 'debian-root',
    file: undefined,
    distribution: 'debian',
    suite: 'trixie',
    architecture: 'arm64',
    components: ['main', 'contrib'],
    mirrors: [
      {
        uri: 'https://mirror.example/archive/20260131T000000Z',
        suites: ['trixie'],
        components: ['main', 'contrib'],
        signedBy: '/etc/keys/a.gpg',
        priority: 900,
      },
      { uri: 'file:///srv/local', suites: ['local'], components: ['extra'], priority: 500 },
    ],
    keyring: '/usr/share/keyrings/k.gpg',
    snapshot: '20260131T000000Z',
    variant: 'essential',
    packages: [
      { name: 'curl', span: at('curl') },
      { name: 'nano', version: '7.*', span: at('"nano=7.*"') },
      { name: 'git', suite: 'trixie-backports', span: at('"git/trixie-backports"') },
    ],
    exclude: ['vim'],
    recommends: true,
    aptSources: true,
    files: [{ path: '/etc/motd', content: 'hello\n', mode: 0o600, uid: 0, gid: 0 }],
    users: [
      { name: 'app', uid: 1000, gid: 1000, home: '/home/app', shell: '/bin/sh', groups: ['adm'] },
    ],
    config: {
      env: { A: 'b' },
      entrypoint: ['/bin/app'],
      cmd: [],
      workdir: '/srv',
      user: 'app',
      labels: { k: 'v' },
    },
  });
});

test('an unknown key is refused where it stands, with the key that was meant', () => {
  assert.equal(
    problem('suite: bookworm\npackage: [curl]\n'),
    `error[TP002]: unknown key "package"
 --> os.yml:2:1
  |
2 | package: [curl]
  | ^^^^^^^ help: did you mean "packages"?`,
  );
});

test('an unknown key of a mirror is named with its place in the template', () => {
  assert.equal(
    problem('suite: bookworm\nmirrors:\n  - uri: http://m.example/debian\n    suits: [a]\n'),
    `error[TP002]: unknown key "suits" in mirrors[0]
 --> os.yml:4:5
  |
4 |     suits: [a]
  |     ^^^^^ help: did you mean "suites"?`,
  );
});

test('all problems are reported together', () => {
  assert.equal(
    problem('suit: bookworm\nrecommends: maybe\npackages: [Curl]\n'),
    `error[TP003]: suite: is required
 --> os.yml:1:1
  |
1 | suit: bookworm
  | ^^^^^^^^^^^^^^
error[TP003]: packages[0]: expected name, name=version or name/suite
 --> os.yml:3:12
  |
3 | packages: [Curl]
  |            ^^^^
error[TP003]: recommends: expected true or false, got a text
 --> os.yml:2:13
  |
2 | recommends: maybe
  |             ^^^^^
error[TP002]: unknown key "suit"
 --> os.yml:1:1
  |
1 | suit: bookworm
  | ^^^^ help: did you mean "suite"?`,
  );
});

test('broken YAML is reported with its place', () => {
  assert.equal(
    problem('suite: bookworm\npackages: [curl\n'),
    `error[TP001]: flow sequence in block collection must be sufficiently indented and end with a ]
 --> os.yml:3:1
  |
3 | 
  | ^`,
  );
});

const CONTRADICTIONS: readonly (readonly [why: string, text: string, message: string])[] = [
  [
    'a package both asked for and excluded',
    'suite: a\npackages: [vim]\nexclude: [vim]\n',
    'package vim is both asked for and excluded',
  ],
  [
    'a snapshot without mirrors',
    'suite: a\nsnapshot: 20260131T000000Z\n',
    'a snapshot needs mirrors that keep old states',
  ],
  [
    'a mirror that wants a snapshot',
    'suite: a\nmirrors: [{uri: "http://m.example/{snapshot}"}]\n',
    '{snapshot} stands for a time that the template does not give',
  ],
  [
    'credentials in a mirror URI',
    'suite: a\nmirrors: [{uri: "http://u:p@m.example/"}]\n',
    'a mirror URI must not carry credentials',
  ],
];
for (const [why, text, message] of CONTRADICTIONS)
  test(`${why} is refused`, () => {
    const parsed = parse(text);
    assert.deepEqual(parsed.ok ? [] : [parsed.error.code, parsed.error.message], [
      'TP004',
      message,
    ]);
  });

test('paths that leave the root are refused', () => {
  assert.match(
    problem('suite: a\nfiles: [{path: /etc/../../x, content: ""}]\n'),
    /TP003.*files\[0\]\.path/,
  );
});

test('a document of endless aliases is refused', () => {
  const levels = Array.from({ length: 12 }, (_, i) =>
    i === 0
      ? 'a0: &a0 [x]'
      : `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
  );
  assert.match(
    problem(`${levels.join('\n')}\n`),
    /^error\[TP001\]: too many or unresolved aliases/,
  );
});
