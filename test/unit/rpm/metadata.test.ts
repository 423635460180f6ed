import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FilelistsReader,
  isPrimaryPath,
  PrimaryReader,
  parseRepomd,
} from '../../../src/rpm/index.ts';

const HEX = 'ab'.repeat(32);

test('the index of a repository says which files it has, and of when they are', () => {
  const text = `<?xml version="1.0"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1700000000</revision>
<data type="primary"><checksum type="sha256">${HEX}</checksum><open-checksum type="sha256">${HEX.toUpperCase()}</open-checksum>
<location href="repodata/p.xml.gz"/><timestamp>1700000007.5</timestamp><size>10</size><open-size>20</open-size></data>
<data type="other"><checksum type="sha">00</checksum><location href="repodata/o.xml.gz"/><size>1</size></data></repomd>`;
  assert.deepEqual(parseRepomd(text, 'r'), {
    ok: true,
    value: {
      date: 1_700_000_007,
      files: [
        {
          ...{ type: 'primary', location: 'repodata/p.xml.gz', sha256: HEX, size: 10 },
          ...{ openSha256: HEX, openSize: 20 },
        },
        {
          ...{ type: 'other', location: 'repodata/o.xml.gz', sha256: '', size: 1 },
          ...{ openSha256: '', openSize: 0 },
        },
      ],
    },
  });
});

test('an index that is damaged, hostile or something else is refused', () => {
  const at = (href: string): string =>
    `<repomd><data type="primary"><location href="${href}"/></data></repomd>`;
  const texts = [
    '',
    '<html></html>',
    '<repomd>',
    '<repomd></wrong>',
    at('/etc/passwd'),
    at('../up'),
    at('a/../../up'),
    at('http://elsewhere/x'),
    '<!DOCTYPE x [<!ENTITY a "b">]><repomd>&a;</repomd>',
    `${'<a>'.repeat(100)}${'</a>'.repeat(100)}`,
  ];
  assert.deepEqual(
    texts.map((text) => {
      const read = parseRepomd(text, 'r');
      return read.ok ? text : read.error.code;
    }),
    texts.map(() => 'PK022'),
  );
});

const packageXml = (inner: string, name = 'foo'): string =>
  `<package type="rpm"><name>${name}</name><arch>x86_64</arch><version epoch="1" ver="2.0" rel="3"/>
<checksum type="sha256" pkgid="YES">${HEX}</checksum><time file="1" build="1700000000"/>
<size package="1234" installed="1" archive="1"/><location href="Packages/f.rpm"/><format>${inner}</format></package>`;

function read(text: string) {
  const reader = new PrimaryReader('primary');
  // Pieces end anywhere, within tags too.
  for (let at = 0; at < text.length; at += 7) reader.write(text.slice(at, at + 7));
  return reader.end();
}

test('packages are read with what they provide, need and hold', () => {
  const inner = `<rpm:provides><rpm:entry name="foo" flags="EQ" epoch="1" ver="2.0" rel="3"/><rpm:entry name="v&amp;w"/></rpm:provides>
<rpm:requires><rpm:entry name="/bin/sh" pre="1"/><rpm:entry name="bar" flags="GE" epoch="0" ver="1"/><rpm:entry name="(a if b)"/></rpm:requires>
<rpm:conflicts><rpm:entry name="old" flags="LT" epoch="0" ver="1" rel="1"/></rpm:conflicts><file>/usr/bin/foo</file><file type="dir">/etc/foo</file>`;
  const source = packageXml('').replace('<arch>x86_64', '<arch>src');
  assert.deepEqual(read(`<metadata packages="2">${packageXml(inner)}${source}</metadata>`), {
    ok: true,
    value: [
      {
        ...{ name: 'foo', epoch: 1, version: '2.0', release: '3', arch: 'x86_64', sha256: HEX },
        ...{ size: 1234, location: 'Packages/f.rpm', builtAt: 1_700_000_000 },
        provides: ['foo = 1:2.0-3', 'v&w'],
        requires: ['/bin/sh', 'bar >= 1', '(a if b)'],
        conflicts: ['old < 1-1'],
        ...{ obsoletes: [], recommends: [], supplements: [], suggests: [], enhances: [] },
        files: ['/usr/bin/foo', '/etc/foo'],
      },
    ],
  });
});

test('packages that cannot be are refused', () => {
  const good = packageXml('');
  const bad = [
    good.replace('<name>foo', '<name>../foo'),
    good.replace('type="sha256"', 'type="sha"'),
    good.replace('package="1234"', 'package="-1"'),
    good.replace('Packages/f.rpm', '../f.rpm'),
    good.replace('ver="2.0"', 'ver="2 0"'),
    good.replace('epoch="1"', 'epoch="x"'),
    good.replace('<arch>x86_64', '<arch>../x'),
  ];
  assert.deepEqual(
    bad.map((text) => {
      const result = read(`<metadata>${text}</metadata>`);
      return result.ok ? text : result.error.code;
    }),
    bad.map(() => 'PK022'),
  );
});

test('of complete lists of files only what is wanted is kept', () => {
  const reader = new FilelistsReader('filelists', new Set(['/opt/b', '/opt/c']));
  reader.write(
    `<filelists><package pkgid="${HEX}" name="a"><file>/opt/a</file><file>/opt/b</file></package>`,
  );
  reader.write('<package pkgid="00" name="b"><file>/opt/a</file></package></filelists>');
  assert.deepEqual(reader.end(), { ok: true, value: new Map([[HEX, ['/opt/b']]]) });
  assert.deepEqual(
    ['/etc/x', '/usr/sbin/x', '/usr/lib/sendmail', '/opt/x', '/usr/share/bin'].map(isPrimaryPath),
    [true, true, true, false, false],
  );
});
