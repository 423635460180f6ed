import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remoteAddress } from '../../../src/cli/remote-address.ts';

test('contexts that are addresses are told from directories', () => {
  const given = [
    '.',
    'github.com',
    'dir/http://x',
    'github.com/owner/name',
    'github.com/owner/name.git#main:sub',
    'https://example.com/a.tar.gz',
    'git@example.com:team/app.git',
    'ssh://git@example.com/app.git',
    'git://example.com/app.git',
  ];
  assert.deepEqual(given.map(remoteAddress), [
    undefined,
    undefined,
    undefined,
    'https://github.com/owner/name.git',
    'https://github.com/owner/name.git#main:sub',
    'https://example.com/a.tar.gz',
    'git@example.com:team/app.git',
    'ssh://git@example.com/app.git',
    'git://example.com/app.git',
  ]);
});
