import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRelease } from '../../../src/packages/release.ts';

const HEX = 'ab'.repeat(32);
const TEXT = `Origin: Debian
Suite: oldstable
Codename: bookworm
Date: Sat, 11 Jul 2026 10:16:37 UTC
Valid-Until: Sat, 18 Jul 2026 10:16:37 UTC
Acquire-By-Hash: yes
No-Support-for-Architecture-all: Packages
Architectures: all amd64
Components: main contrib
MD5Sum:
 ${'0'.repeat(32)} 9 main/binary-amd64/Packages
SHA256:
 ${HEX}  50060337 main/binary-amd64/Packages
`;

test('a Release file is read with the files that it vouches for', () => {
  const parsed = parseRelease(TEXT, 'x');
  assert.deepEqual(parsed.ok && { ...parsed.value, files: [...parsed.value.files] }, {
    origin: 'Debian',
    suite: 'oldstable',
    codename: 'bookworm',
    date: 1783764997,
    validUntil: 1784369797,
    byHash: true,
    notAutomatic: false,
    butAutomaticUpgrades: false,
    architectures: ['all', 'amd64'],
    components: ['main', 'contrib'],
    separateAll: false,
    files: [['main/binary-amd64/Packages', { size: 50060337, sha256: `sha256:${HEX}` }]],
  });
});

const BROKEN: readonly (readonly [why: string, text: string, message: string])[] = [
  ['no date', TEXT.replace(/^Date.*\n/m, ''), 'Date is absent'],
  [
    'a date of another zone',
    TEXT.replace(/^(Date.*) UTC/m, '$1 +0200'),
    'Date is "Sat, 11 Jul 2026 10:16:37 +0200"',
  ],
  [
    'an expiry that is no date',
    TEXT.replace(/^Valid-Until.*/m, 'Valid-Until: never'),
    'Valid-Until is "never"',
  ],
  ['only weak digests', TEXT.replace(/SHA256:[\s\S]*/, ''), 'it lists no SHA256'],
  [
    'a path that leaves the suite',
    TEXT.replace('main/binary-amd64/Packages\n', 'main/binary-amd64/Packages\n').replace(
      / 50060337 .*\n$/,
      ' 1 ../../x\n',
    ),
    `SHA256 has the line " ${HEX}  1 ../../x"`,
  ],
];
for (const [why, text, message] of BROKEN)
  test(`a Release file with ${why} is refused`, () => {
    const parsed = parseRelease(text, 'x');
    assert.deepEqual(parsed.ok ? [] : [parsed.error.code, parsed.error.message], [
      'PK010',
      `Release file of x is not usable: ${message}`,
    ]);
  });
