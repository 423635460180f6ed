import { deepEqual, equal } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { goldenNames, needsGolden, note } from '../../rig/golden.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/dockerfile-tests.md'), 'utf8');

/** BuildKit's tests with what is said of each. */
const rows = [...page.matchAll(/^\| ([Tt]est\w+) \| (.*) \|$/gm)].map(
  ([, name = '', said = '']) => ({ name, said }),
);

/** Golden data that a row may name without a number. */
const WHOLE = /\b(?:corpus|words|patterns|ignore files|instructions)\b/;

const numbers = (folder: string): readonly string[] =>
  rows.flatMap(({ said }) =>
    [
      ...said.replace(/`[^`]+`/g, '').matchAll(new RegExp(`${folder}/(\\d+(?:, \\d+)*)`, 'g')),
    ].flatMap(([, list = '']) => list.split(', ')),
  );

test('each test of BuildKit is shown by a test or a golden case, has no place here, or is said to be missing', () => {
  const kinds = rows.map(({ name, said }) => {
    const outside = said.replace(/`[^`]+`/g, '');
    if (said.startsWith('not here: ')) return 'not here';
    if (said.startsWith('missing: ')) return 'missing';
    return said.includes('`') || /\/\d/.test(outside) || WHOLE.test(outside) ? 'shown' : name;
  });
  const count = (kind: string): number => kinds.filter((k) => k === kind).length;
  deepEqual([...new Set(kinds)].sort(), ['not here', 'shown']);
  equal(new Set(rows.map(({ name }) => name)).size, rows.length);
  deepEqual({ tests: rows.length, missing: count('missing') }, { tests: 262, missing: 0 });
  note(
    `BuildKit's Dockerfile tests: ${rows.length}, ${count('shown')} shown, ${count('not here')} not here, ${count('missing')} missing`,
  );
});

test('every test that shows one of BuildKit exists', () => {
  const text = readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && e.name.endsWith('.ts'))
    .map((e) => readFileSync(join(e.parentPath, e.name), 'utf8'))
    .join('\n')
    .replaceAll("\\'", "'");
  const names = rows.flatMap(({ said }) => [...said.matchAll(/`([^`]+)`/g)].map((m) => m[1] ?? ''));
  deepEqual(
    names.filter((name) => !["'", '"', '`'].some((q) => text.includes(`${q}${name}${q}`))),
    [],
  );
});

test('every golden case that shows one of BuildKit exists', needsGolden, () => {
  for (const [folder, golden] of [
    ['features', 'corpus-features'],
    ['cachekeys', 'cachekeys'],
  ] as const) {
    const known = new Set(goldenNames(golden).map((name) => name.split('-')[0]));
    deepEqual(
      numbers(folder).filter((n) => !known.has(n)),
      [],
    );
  }
});
