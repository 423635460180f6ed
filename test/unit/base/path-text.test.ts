import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOfName, nameOfBytes } from '../../../src/base/index.ts';

test('any sequence of bytes survives the way to a name and back, and valid UTF-8 reads as itself', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.deepEqual([...bytesOfName(nameOfBytes(bytes))], [...bytes]);
    }),
  );
  assert.equal(nameOfBytes(Buffer.from('é\u{1F600}')), 'é\u{1F600}');
  assert.equal(nameOfBytes(Uint8Array.of(0x61, 0xff, 0x62)), 'a\udcffb');
});
