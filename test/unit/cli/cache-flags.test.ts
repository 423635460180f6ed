import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { cacheFromFlag, cacheToFlag } from '../../../src/cli/flags/cache.ts';

const local = (dir: string, tag = 'latest') => ({ kind: 'local', dir, tag });
const registry = (ref: string) => ({ kind: 'registry', ref });
const target = { mode: 'min', compression: 'zstd', force: false, ignoreError: false };

test('caches are read from directories, registries and bare names', () => {
  const digest = sha256('x');
  assert.deepEqual(
    [
      'team/app:cache',
      'one,two:2',
      'type=registry,ref=reg.test:5000/a',
      'type=local,src=dir',
      `type=local,src=/dir,tag=main,digest=${digest}`,
    ].map((text) => cacheFromFlag(text, { cwd: '/srv', env: {} })),
    [
      [registry('docker.io/team/app:cache')],
      [registry('docker.io/library/one:latest'), registry('docker.io/library/two:2')],
      [registry('reg.test:5000/a:latest')],
      [local('/srv/dir')],
      [{ ...local('/dir', 'main'), digest }],
    ].map((value) => ({ ok: true, value })),
  );
});

test('caches are kept in directories, registries and images', () => {
  assert.deepEqual(
    [
      'team/app:cache',
      'type=inline',
      'type=local,dest=dir,mode=max,tag=main,compression=zstd,compression-level=3',
      'type=registry,ref=a,force-compression=true,ignore-error=true,image-manifest=true',
    ].map((text) => cacheToFlag(text, { cwd: '/srv', env: {} })),
    [
      { ...target, place: registry('docker.io/team/app:cache') },
      { ...target, place: { kind: 'inline' } },
      {
        ...{ ...target, place: local('/srv/dir', 'main'), mode: 'max' },
        ...{ compression: 'zstd', level: 3 },
      },
      {
        ...{ ...target, place: registry('docker.io/library/a:latest') },
        ...{ force: true, ignoreError: true },
      },
    ].map((value) => ({ ok: true, value })),
  );
});
