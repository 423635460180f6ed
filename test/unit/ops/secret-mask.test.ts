import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { SecretMask } from '../../../src/ops/secret-mask.ts';

/** What is shown of an output that comes in pieces of `size` bytes. */
function shown(secrets: readonly string[], output: string, size: number): string {
  const mask = new SecretMask(secrets.map((s) => Buffer.from(s)));
  const bytes = Buffer.from(output);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size)
    parts.push(Uint8Array.from(mask.push(bytes.subarray(at, at + size))));
  parts.push(mask.end());
  return Buffer.concat(parts).toString();
}

const CASES: readonly (readonly [secrets: readonly string[], output: string, shown: string])[] = [
  [['hunter22\n'], 'token=hunter22.', 'token=****.'],
  [['hunter22'], 'hunter2hunter22hunter2', 'hunter2****hunter2'],
  [['abcd', 'abcdefgh'], 'abcd abcdefgh abcdef', '**** **** ****ef'],
  [['bcde', 'abcdxxxx'], 'abcde', 'a****'],
  [['line-one\nline-two\r\n\n{\n'], 'line-one\nline-two\n{', '****\n****\n{'],
  [['pässwörd'], 'x pässwörd y', 'x **** y'],
  [['aaaab'], 'aaaaaaaab', 'aaaa****'],
  [['abc'], 'abc', 'abc'],
  [[], 'anything', 'anything'],
];

test('no piece of a secret is shown, however the output is cut', () => {
  const wrong: string[] = [];
  for (const [secrets, output, expected] of CASES)
    for (let size = 1; size <= output.length + 2; size++) {
      const got = shown(secrets, output, size);
      if (got !== expected) wrong.push(`${output} in pieces of ${size}: ${got}`);
    }
  deepEqual(wrong, []);
});

test('what cannot be the beginning of a secret is shown at once', () => {
  const mask = new SecretMask([Buffer.from('secret')]);
  equal(Buffer.from(mask.push(Buffer.from('password? '))).toString(), 'password? ');
  equal(Buffer.from(mask.push(Buffer.from('answer: sec'))).toString(), 'answer: ');
  equal(Buffer.from(mask.push(Buffer.from('ond'))).toString(), 'second');
});
