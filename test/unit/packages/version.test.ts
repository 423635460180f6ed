import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareVersions, satisfies } from '../../../src/packages/index.ts';
import { needsDebianTools } from '../../rig/debian-repo.ts';
import { note } from '../../rig/golden.ts';

const ORDERED = [
  '0~~',
  '0~',
  '0~a',
  '0',
  '0-0.1',
  '0.1~rc1',
  '0.1',
  '0.1a',
  '0.1+b1',
  '0.1.1',
  '0.9',
  '0.10',
  '1.0-1',
  '1.0-1+b1',
  '1.0-1.1',
  '1.0-10',
  '1.0a-1',
  '1.0+git-1',
  '1:0~',
  '1:0',
  '99999999999999999998',
  '99999999999999999999',
  '2:1',
];

test('versions are ordered as the policy says', () => {
  const byVersion = ORDERED.filter((v) => !v.startsWith('9'))
    .toReversed()
    .sort(compareVersions);
  assert.deepEqual(
    byVersion,
    ORDERED.filter((v) => !v.startsWith('9')),
  );
  assert.ok(compareVersions('99999999999999999998', '99999999999999999999') < 0);
});

test('leading zeros and an absent revision do not matter', () => {
  const equal = [
    ['1.0', '1.00'],
    ['1.0', '0:1.0'],
    ['1.0', '1.0-0'],
    ['1.', '1.0'],
  ] as const;
  assert.deepEqual(
    equal.map(([a, b]) => Math.sign(compareVersions(a, b))),
    [0, 0, 0, 0],
  );
});

test('each relation holds for exactly the versions that it names', () => {
  const relations = ['<<', '<=', '=', '>=', '>>'] as const;
  const held = ['0.9', '1.0', '1.1'].map((v) => relations.filter((r) => satisfies(v, r, '1.0')));
  assert.deepEqual(held, [
    ['<<', '<='],
    ['<=', '=', '>='],
    ['>=', '>>'],
  ]);
});

/** Versions of few characters, so that near ones are met often. */
const part = (alphabet: string) =>
  fc.string({ unit: fc.constantFrom(...alphabet.split('')), minLength: 0, maxLength: 6 });
const version = fc
  .tuple(
    fc.constantFrom('', '0:', '1:'),
    fc.constantFrom('0', '1', '10'),
    part('01az.+~-'),
    part('01a.+~'),
  )
  .map(([epoch, digit, upstream, revision]) =>
    `${epoch}${digit}${upstream}${revision === '' ? '' : `-${revision}`}`.replace(/-+$/, ''),
  );

test('any two versions compare as dpkg compares them', needsDebianTools, () => {
  const pairs = fc.sample(fc.tuple(version, version), { numRuns: 1500, seed: 7 });
  // One process for all: dpkg compares a pair a call, so a shell runs them.
  const script = pairs
    .map(
      ([a, b]) =>
        `dpkg --compare-versions '${a}' lt '${b}' && echo lt || { dpkg --compare-versions '${a}' eq '${b}' && echo eq || echo gt; }`,
    )
    .join('\n');
  const run = spawnSync('sh', ['-s'], { input: script, encoding: 'utf8' });
  const expected = run.stdout.trim().split('\n');
  const differing = pairs.flatMap(([a, b], i) => {
    const order = compareVersions(a, b);
    const ours = order < 0 ? 'lt' : order === 0 ? 'eq' : 'gt';
    return ours === expected[i] ? [] : [`${a} ${b}: ${ours}, dpkg says ${expected[i] ?? ''}`];
  });
  assert.deepEqual(differing, []);
  note(`versions: ${pairs.length} of ${pairs.length} pairs compare as dpkg compares them`);
});
