import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byUtf8 } from '../../../src/base/index.ts';

test('byUtf8 orders as the UTF-8 bytes do, also beyond the basic plane', () => {
  const words = ['\u{1F600}', '\uFFFD', 'b', 'a', '', 'ab', '\uD7FF', '\u{10000}'];
  const byBytes = [...words].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual([...words].sort(byUtf8), byBytes);
});
