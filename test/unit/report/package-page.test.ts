import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GraphPackage, packagesPage } from '../../../src/report/index.ts';
import { packageGraph } from '../../../src/report/package-graph.ts';

const one = (id: string, ...needs: readonly string[]): GraphPackage => ({
  ...{ id, name: id, version: '1', source: id, needs },
});

test('packages stand to the right of those that need them; arrows that follow from others, and circles, are left out', () => {
  const graph = packageGraph([
    one('app', 'lib', 'libc'),
    one('tool', 'libc'),
    one('lib', 'libc'),
    one('libc', 'libgcc'),
    one('libgcc', 'libc'),
  ]);
  assert.deepEqual(graph, {
    nodes: [
      { id: 'app', row: 0, name: 'app', top: true, column: 0 },
      { id: 'tool', row: 1, name: 'tool', top: true, column: 0 },
      { id: 'lib', row: 0, name: 'lib', top: false, column: 1 },
      { id: 'libc', row: 1, name: 'libc', top: false, column: 2 },
      { id: 'libgcc', row: 1, name: 'libgcc', top: false, column: 3 },
    ],
    links: [
      { source: 'app', target: 'lib' },
      { source: 'lib', target: 'libc' },
      { source: 'libc', target: 'libgcc' },
      { source: 'tool', target: 'libc' },
    ],
    said: ['4 of 6 arrows are drawn: the others follow from them, or close a circle.'],
  });
});

test('of many packages the sources are drawn, of many sources those with the most arrows, and it is said', () => {
  const many = (count: number, sources: number): readonly GraphPackage[] =>
    Array.from({ length: count }, (_, i) => ({
      ...one(`p${i}`, ...(i === 0 ? [] : ['p0'])),
      source: `s${i % sources}`,
    }));
  const grouped = packageGraph(many(301, 100));
  assert.deepEqual(
    [grouped.nodes.length, grouped.nodes.find(({ id }) => id === 's0')?.name, grouped.said],
    [100, 's0 (4 packages)', ['301 packages are drawn as the 100 sources they are built from.']],
  );
  const pruned = packageGraph(many(900, 400));
  assert.deepEqual(
    [pruned.nodes.length, pruned.links.length, pruned.said],
    [
      300,
      299,
      [
        '900 packages are drawn as the 400 sources they are built from.',
        'Of these the 300 with the most arrows are drawn; the table has all packages.',
      ],
    ],
  );
});

test('names of packages are text, whatever is in them', () => {
  const evil = '<script>alert(1)</script>" onload="x\u001b[2J\n<img src=x>';
  const page = packagesPage({ title: evil, packages: [one(evil, 'b'), one('b')] });
  assert.deepEqual(
    {
      active: page.match(/<script|<link|<img|javascript:|<[^>]*\son[a-z]+=/g),
      control: page.includes('\u001b'),
      drawn: page.match(/&lt;script&gt;alert\(1\)/g)?.length,
      elsewhere: page.match(/(?:src|href)="(?!#)|url\(/g),
    },
    { active: null, control: false, drawn: 6, elsewhere: null },
  );
});
