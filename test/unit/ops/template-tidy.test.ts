import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { tidyRoot } from '../../../src/ops/template-tidy.ts';

test('keys of a host, caches and logs of the making do not stay in a root', () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-tidy-'));
  try {
    for (const path of [
      'etc/ssh/ssh_host_ed25519_key',
      'etc/ssh/ssh_host_rsa_key.pub',
      'etc/ssh/sshd_config',
      'var/cache/man/index.db',
      'var/log/dpkg.log',
      'run/x',
    ]) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), '');
    }
    tidyRoot(dir);
    assert.deepEqual(readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort(), [
      'etc',
      'etc/ssh',
      'etc/ssh/sshd_config',
      'run',
      'var',
      'var/cache',
      'var/cache/man',
      'var/log',
    ]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
