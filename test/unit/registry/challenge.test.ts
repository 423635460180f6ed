import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from '../../../src/registry/challenge.ts';

const cases: readonly (readonly [string, unknown])[] = [
  [
    'Bearer realm="https://a.example/token",service="reg",scope="repository:x:pull,push"',
    [
      {
        scheme: 'bearer',
        params: {
          realm: 'https://a.example/token',
          service: 'reg',
          scope: 'repository:x:pull,push',
        },
      },
    ],
  ],
  [
    'Basic Realm = "a \\"quoted\\" name", Bearer realm=plain',
    [
      { scheme: 'basic', params: { realm: 'a "quoted" name' } },
      { scheme: 'bearer', params: { realm: 'plain' } },
    ],
  ],
  ['Bearer realm="never closed', [{ scheme: 'bearer', params: {} }]],
  ['', []],
  ['"only a string"', []],
];

for (const [header, expected] of cases) {
  test(`the challenges of ${JSON.stringify(header)} are read, and what is malformed ends them`, () => {
    const read = parseChallenges(header).map(({ scheme, params }) => ({
      scheme,
      params: Object.fromEntries(params),
    }));
    assert.deepEqual(read, expected);
  });
}
