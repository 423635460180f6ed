import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const SRC = join(import.meta.dirname, '../../../src');

test('no module imports the HTTP library dynamically by its own name, which the bundle cannot do', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' });
  const wrong = files.filter(
    (f) => f.endsWith('.ts') && readFileSync(join(SRC, f), 'utf8').includes("import('undici')"),
  );
  assert.deepEqual(wrong, []);
});
