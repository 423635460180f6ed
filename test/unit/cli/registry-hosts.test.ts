import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registryHosts } from '../../../src/cli/registry-hosts.ts';

test('mirrors, plain hosts and directories of certificates are read from the environment', () => {
  assert.deepEqual(
    registryHosts({
      env: {
        VARVE_CERTS_DIR: '/a:/b',
        VARVE_MIRRORS: 'docker.io=one:5000, ghcr.io=three,docker.io=two,nonsense',
        VARVE_INSECURE_REGISTRIES: 'plain:5000,',
      },
    }),
    {
      certificateDirs: ['/a', '/b'],
      mirrors: new Map([
        ['docker.io', ['one:5000', 'two']],
        ['ghcr.io', ['three']],
      ]),
      plain: new Set(['plain:5000']),
    },
  );
});

test('without a setting certificates are where Docker and the containers tools have them', () => {
  assert.deepEqual(registryHosts({ env: { HOME: '/home/me' } }), {
    certificateDirs: [
      '/home/me/.config/containers/certs.d',
      '/etc/containers/certs.d',
      '/etc/docker/certs.d',
    ],
    mirrors: new Map(),
    plain: new Set(),
  });
});
