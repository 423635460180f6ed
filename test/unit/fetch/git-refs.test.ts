import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findRef, isCommitId } from '../../../src/fetch/git-refs.ts';

const id = (digit: string): string => digit.repeat(40);

const LISTING = [
  'ref: refs/heads/trunk\tHEAD',
  `${id('1')}\tHEAD`,
  `${id('1')}\trefs/heads/trunk`,
  `${id('2')}\trefs/heads/v1`,
  `${id('3')}\trefs/tags/v1`,
  `${id('4')}\trefs/tags/v1^{}`,
  `${id('5')}\trefs/heads/deep/trunk`,
  '',
].join('\n');

test('a name means a tag before a branch, a tag its commit, and no other name that ends like it', () => {
  const asked = ['', 'trunk', 'v1', 'heads/v1', 'refs/heads/v1', 'refs/tags/v1', 'deep', 'nope'];
  assert.deepEqual(
    asked.map((ref) => [ref, findRef(LISTING, ref)]),
    [
      ['', { sha: id('1'), ref: 'refs/heads/trunk' }],
      ['trunk', { sha: id('1'), ref: 'refs/heads/trunk' }],
      ['v1', { sha: id('4'), tag: id('3'), ref: 'refs/tags/v1' }],
      ['heads/v1', { sha: id('2'), ref: 'refs/heads/v1' }],
      ['refs/heads/v1', { sha: id('2'), ref: 'refs/heads/v1' }],
      ['refs/tags/v1', { sha: id('4'), tag: id('3'), ref: 'refs/tags/v1' }],
      ['deep', undefined],
      ['nope', undefined],
    ],
  );
});

test('only whole ids are commits', () => {
  const texts = [id('a'), 'a'.repeat(64), 'a'.repeat(39), id('A'), ''];
  assert.deepEqual(texts.map(isCommitId), [true, true, false, false, false]);
});
