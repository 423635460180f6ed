import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRelations, relationText } from '../../../src/packages/relation.ts';

test('alternatives, versions and architectures are taken apart', () => {
  assert.deepEqual(parseRelations('libc6 (>= 2.3), a:any | b (<<1:2-3~) [amd64] , c (= 1)'), [
    [{ name: 'libc6', version: { relation: '>=', bound: '2.3' } }],
    [
      { name: 'a', arch: 'any' },
      { name: 'b', version: { relation: '<<', bound: '1:2-3~' } },
    ],
    [{ name: 'c', version: { relation: '=', bound: '1' } }],
  ]);
});

test('the old signs < and > mean "or equal"', () => {
  assert.deepEqual(
    parseRelations('a (< 1), b (> 2)').map((g) => g[0]?.version?.relation),
    ['<=', '>='],
  );
});

test('a member that is not well-formed is named and left out', () => {
  const bad: string[] = [];
  const groups = parseRelations('good, bad (>= , x | (1), fine', (member) => bad.push(member));
  assert.deepEqual(
    [groups.map(relationText), bad],
    [
      ['good', 'fine'],
      ['bad (>=', 'x | (1)'],
    ],
  );
});

test('a relation prints as it is written in control files', () => {
  const text = 'a:any (>= 1) | b';
  assert.deepEqual(parseRelations(text).map(relationText), [text]);
});
