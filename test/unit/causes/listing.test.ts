import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { type Digest, sha256 } from '../../../src/base/index.ts';
import {
  decodeListing,
  diffListings,
  encodeListing,
  leavesOf,
  listingOf,
} from '../../../src/causes/index.ts';

const listing = (files: Readonly<Record<string, string>>): ReturnType<typeof listingOf> =>
  listingOf(Object.entries(files).map(([path, data]): [string, Digest] => [path, sha256(data)]));

test('files that came, went and changed are told apart, in the order of their paths', () => {
  const before = listing({
    '/': '',
    '/a': '1',
    '/a/x': '1',
    '/a.b': '1',
    '/gone': '1',
    '/z\n': '1',
  });
  const after = listing({ '/z\n': '2', '/new': '1', '/a.b': '1', '/a/x': '2', '/a': '1', '/': '' });
  const said = diffListings(before, after).map(({ name, before: old, after: now }) => [
    name,
    old !== undefined,
    now !== undefined,
  ]);
  deepEqual(said, [
    ['a/x', true, true],
    ['gone', true, false],
    ['new', false, true],
    ['z\n', true, true],
  ]);
});

test('a packed listing is the listing, also with names that are no UTF-8 and paths that come twice', () => {
  const odd: [string, Digest][] = [
    ['/\udcff', sha256('1')],
    ['/b', sha256('2')],
    ['/b', sha256('2')],
  ];
  const made = listingOf(odd);
  equal(decodeListing(encodeListing(made)), made);
  deepEqual(diffListings(decodeListing(encodeListing(made)), listingOf(odd)), []);
  equal(made.split('\n').length, 3);
});

test('leaves are what nothing is listed below, and so many at most', () => {
  const files = listing({ '/': '', '/a': '', '/a.b': '', '/a/x': '', '/c/d/e': '' });
  deepEqual(leavesOf(files, 5), ['/a.b', '/a/x', '/c/d/e']);
  deepEqual(leavesOf(files, 2), ['/a.b', '/a/x']);
});

test('a damaged listing is an empty one', () => {
  equal(decodeListing(Buffer.from('no zstd')), '');
});
