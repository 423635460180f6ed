import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { printDockerfile } from './print.ts';

const CASES = join(import.meta.dirname, '../../cases/dockerfile');
const update = process.env['VARVE_TEST_UPDATE'] === '1';

for (const name of readdirSync(CASES).sort()) {
  test(`the Dockerfile of case ${name} comes to the recorded tree and diagnostics`, () => {
    const dir = join(CASES, name);
    const text = readFileSync(join(dir, 'Dockerfile'), 'utf8');
    const printed = printDockerfile({ path: 'Dockerfile', text });
    for (const kind of ['ast', 'diagnostics'] as const) {
      const path = join(dir, `${kind}.txt`);
      const got = printed[kind];
      if (update && got === undefined) rmSync(path, { force: true });
      else if (update) writeFileSync(path, got ?? '');
      const want = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
      assert.equal(got, want, `${kind}.txt`);
    }
  });
}
