import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDeb822Sources, parseSourceList } from '../../../src/packages/sources.ts';

test('one-line entries are read with their options', () => {
  const text = `# comment
deb http://m.example/debian/ stable main contrib # tail
deb [arch=amd64,arm64 signed-by=/k/a.gpg trusted=yes check-valid-until=no] https://m.example/x stable/updates main
deb-src http://m.example/debian stable main
deb file:/srv/repo ./
`;
  assert.deepEqual(parseSourceList(text, 'a.list'), [
    {
      uri: 'http://m.example/debian',
      suite: 'stable',
      components: ['main', 'contrib'],
      signedBy: [],
      trusted: false,
      origin: 'a.list:2',
    },
    {
      uri: 'https://m.example/x',
      suite: 'stable/updates',
      components: ['main'],
      architectures: ['amd64', 'arm64'],
      signedBy: ['/k/a.gpg'],
      trusted: true,
      checkValidUntil: false,
      origin: 'a.list:3',
    },
    {
      uri: 'file:/srv/repo',
      suite: './',
      components: [],
      signedBy: [],
      trusted: false,
      origin: 'a.list:5',
    },
  ]);
});

test('deb822 stanzas give an entry for each URI and suite', () => {
  const text = `# comment
Types: deb deb-src
URIs: http://a.example/debian http://b.example/debian/
Suites: stable stable-updates
Components: main
Architectures: amd64
Signed-By: /k/a.gpg

Types: deb
URIs: http://off.example/
Suites: stable
Components: main
Enabled: no

Types: deb-src
URIs: http://src.example/
Suites: stable
Components: main
`;
  const entry = (uri: string, suite: string) => ({
    uri,
    suite,
    components: ['main'],
    architectures: ['amd64'],
    signedBy: ['/k/a.gpg'],
    trusted: false,
    origin: 'd.sources:2',
  });
  assert.deepEqual(parseDeb822Sources(text, 'd.sources'), [
    entry('http://a.example/debian', 'stable'),
    entry('http://a.example/debian', 'stable-updates'),
    entry('http://b.example/debian', 'stable'),
    entry('http://b.example/debian', 'stable-updates'),
  ]);
});

test('an inline key keeps its empty lines', () => {
  const text = `Types: deb
URIs: http://a.example/
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
`;
  assert.deepEqual(parseDeb822Sources(text, 'd.sources')[0]?.signedBy, [
    '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n',
  ]);
});
