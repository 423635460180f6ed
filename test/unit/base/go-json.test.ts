import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goJson } from '../../../src/base/index.ts';

test('Go JSON escapes HTML characters, separators, control characters and lone surrogates as encoding/json does', () => {
  const text = '<>&\u2028\u2029\u0001\t\n\b\f"\\\ud800한';
  assert.equal(
    goJson({ a: text, b: undefined, c: [1n, true, null] }),
    '{"a":"\\u003c\\u003e\\u0026\\u2028\\u2029\\u0001\\t\\n\\b\\f\\"\\\\\ufffd한","c":[1,true,null]}',
  );
});
