import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const LAUNCHER = join(import.meta.dirname, '../../bin/varve');

test('the bundle is run unless the checkout has become another commit since', () => {
  const root = mkdtempSync(join(tmpdir(), 'varve-launcher-'));
  const write = (path: string, text: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    return join(root, path);
  };
  const ran = (): string =>
    spawnSync(join(root, 'bin/varve'), {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], VARVE_NODE: process.execPath },
    }).stdout;
  try {
    mkdirSync(join(root, 'bin'));
    copyFileSync(LAUNCHER, join(root, 'bin/varve'));
    write('src/cli/main.ts', "console.log('sources');");
    const seen = [ran()];
    const bundle = write('dist/varve.cjs', "console.log('bundle');");
    seen.push(ran());
    const commits = write('.git/logs/HEAD', 'a commit\n');
    utimesSync(bundle, 2000, 2000);
    for (const time of [1000, 3000]) {
      utimesSync(commits, time, time);
      seen.push(ran());
    }
    assert.deepEqual(seen, ['sources\n', 'bundle\n', 'bundle\n', 'sources\n']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
