import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareEvr, compareSegments, evrText, parseEvr } from '../../../src/rpm/index.ts';
import { note } from '../../rig/golden.ts';

const needsRpm: { readonly skip?: string } = existsSync('/usr/bin/rpm')
  ? {}
  : { skip: 'rpm is not installed' };

/** Each older than the next. */
const ORDERED = [
  '~',
  '~~a',
  '1~~rc',
  '1~rc1',
  '1~rc1.2',
  '1~rc2',
  '1',
  '1^',
  '1^20200101~1',
  '1^20200101',
  '1^20200102',
  '1a',
  '1b',
  '1bb',
  '1.0',
  '1.0^a',
  '1.0a',
  '1.0.1',
  '1.2',
  '1.10',
  '2',
  '10.0001',
  '10.39',
  '99999999999999999998',
  '99999999999999999999',
];

test('versions are ordered as rpm documents it', () => {
  const wrong: string[] = [];
  // `~` and `~~a` are the other way round: a tilde sorts before what follows it.
  const ordered = [ORDERED[1], ORDERED[0], ...ORDERED.slice(2)].map(String);
  for (const [i, a] of ordered.entries())
    for (const [j, b] of ordered.entries())
      if (compareSegments(a, b) !== Math.sign(i - j)) wrong.push(`${a} ? ${b}`);
  assert.deepEqual(wrong, []);
});

test('separators and leading zeros do not count', () => {
  const equal = [
    ['1.0', '1_0'],
    ['1.0', '1..0'],
    ['1.0', '1.00'],
    ['1', '01'],
    ['a.b', 'a+b'],
    ['1.0.', '1.0'],
  ] as const;
  assert.deepEqual(
    equal.filter(([a, b]) => compareSegments(a, b) !== 0),
    [],
  );
});

test('a release that one side leaves open is equal to any, an epoch outweighs everything', () => {
  const evr = (text: string) => parseEvr(text) ?? assert.fail(text);
  assert.deepEqual(
    [
      compareEvr(evr('1.0'), evr('1.0-5')),
      compareEvr(evr('1.0-4'), evr('1.0-5')),
      compareEvr(evr('1:0.1-1'), evr('9.9-9')),
      compareEvr(evr('0:1-1'), evr('1-1')),
    ],
    [0, -1, 1, 0],
  );
  assert.deepEqual(
    ['1:2-3', '0:2-3', '2', '1:2', '2-3-4', 'a b', ''].map((t) => {
      const read = parseEvr(t);
      return read === undefined ? undefined : evrText(read);
    }),
    ['1:2-3', '2-3', '2', '1:2', undefined, undefined, undefined],
  );
});

const part = fc.stringMatching(/^(?:[0-9]{1,3}|[a-zA-Z]{1,2}|[~^._+]){1,5}$/);

test('generated versions are ordered as by rpm itself', needsRpm, () => {
  const seed = Number(process.env['VARVE_SEED'] ?? 20_261_121);
  const fixed = ORDERED.flatMap((a) => ORDERED.map((b): [string, string] => [a, b]));
  const pairs = [...fixed, ...fc.sample(fc.tuple(part, part), { seed, numRuns: 2000 })];
  const calls = pairs.map(([a, b]) => `print(rpm.vercmp("${a}","${b}")..";")`).join(' ');
  const listed = execFileSync('rpm', ['--eval', `%{lua: ${calls}}`], { encoding: 'utf8' });
  const wrong: string[] = [];
  for (const [i, line] of listed.trim().split(';').slice(0, -1).entries()) {
    const [a = '', b = ''] = pairs[i] ?? [];
    if (compareSegments(a, b) !== Number(line)) wrong.push(`${a} ? ${b}: rpm says ${line}`);
  }
  note(`${pairs.length} pairs of versions compared with rpm (seed ${seed})`);
  assert.deepEqual(wrong, []);
});
