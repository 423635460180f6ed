import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Result, renderFailure, sha256 } from '../../../src/base/index.ts';
import type { Chosen } from '../../../src/packages/explain.ts';
import { installSteps, needTargets } from '../../../src/packages/install-steps.ts';
import {
  compactIndex,
  PackagesIndex,
  upgradedIndex,
} from '../../../src/packages/packages-index.ts';
import { resolve } from '../../../src/packages/resolver.ts';
import { Universe } from '../../../src/packages/universe.ts';

/** An index of short stanzas: `name version; Field: value; ...`. */
function indexOf(...stanzas: readonly string[]): PackagesIndex {
  const text = stanzas.map((stanza) => {
    const [head = '', ...fields] = stanza.split('; ');
    const [name = '', version = '1'] = head.split(' ');
    const given = fields.some((f) => f.startsWith('Architecture'));
    return [
      `Package: ${name}`,
      `Version: ${version}`,
      ...(given ? [] : ['Architecture: amd64']),
      ...fields,
      `Filename: pool/${name}_${version}.deb`,
      'Size: 1',
      `SHA256: ${'0'.repeat(64)}`,
      '',
    ].join('\n');
  });
  const index = PackagesIndex.read(compactIndex(Buffer.from(`${text.join('\n')}\n`)));
  assert.ok(index);
  return index;
}

function universeOf(...stanzas: readonly string[]): Universe {
  const index = indexOf(...stanzas);
  return new Universe([{ index, source: 0, suite: 's', priority: 500 }], { architecture: 'amd64' });
}

function solve(universe: Universe, seeds: readonly string[], recommends = false) {
  const candidates = seeds.map((name) => {
    const candidate = universe.candidate(name);
    assert.ok(candidate, name);
    return { candidate, reason: 'asked for' };
  });
  return resolve(universe, { seeds: candidates, recommends });
}

const chosen = (result: Result<ReadonlyMap<string, Chosen>>): string[] | string =>
  result.ok ? [...result.value.keys()].sort() : renderFailure(result.error);

test('needs are followed, Pre-Depends too, and each package says why it is there', () => {
  const result = solve(
    universeOf('app 1; Pre-Depends: a; Depends: b (>= 2)', 'a 1; Depends: c', 'b 2', 'c 1', 'd 1'),
    ['app'],
  );
  assert.deepEqual(
    result.ok && [...result.value].map(([name, c]) => [name, c.manual, c.reason, c.parent]),
    [
      ['app', true, 'asked for', undefined],
      ['a', false, 'needed by app (Pre-Depends: a)', 'app'],
      ['c', false, 'needed by a (Depends: c)', 'a'],
      ['b', false, 'needed by app (Depends: b (>= 2))', 'app'],
    ],
  );
});

test('the first alternative is taken unless another is chosen already', () => {
  const stanzas = ['app 1; Depends: a | b', 'a 1', 'b 1'];
  assert.deepEqual(chosen(solve(universeOf(...stanzas), ['app'])), ['a', 'app']);
  assert.deepEqual(chosen(solve(universeOf(...stanzas), ['app', 'b'])), ['app', 'b']);
});

test('a real package is preferred to its providers, those by Essential and Priority', () => {
  const providers = [
    'p1 1; Provides: v; Priority: optional',
    'p2 1; Provides: v; Priority: required',
    'p3 1; Provides: v; Priority: extra; Essential: yes',
  ];
  const app = 'app 1; Depends: v';
  assert.deepEqual(chosen(solve(universeOf(app, ...providers, 'v 1'), ['app'])), ['app', 'v']);
  assert.deepEqual(chosen(solve(universeOf(app, ...providers), ['app'])), ['app', 'p3']);
  assert.deepEqual(chosen(solve(universeOf(app, ...providers.slice(0, 2)), ['app'])), [
    'app',
    'p2',
  ]);
});

test('only a versioned Provides fulfils a versioned need', () => {
  assert.deepEqual(
    chosen(
      solve(universeOf('app 1; Depends: v (>= 2)', 'a 9; Provides: v', 'b 1; Provides: v (= 2)'), [
        'app',
      ]),
    ),
    ['app', 'b'],
  );
});

test('what conflicts with something chosen is passed over', () => {
  assert.deepEqual(
    chosen(
      solve(universeOf('app 1; Depends: a | b', 'a 1; Conflicts: k', 'b 1', 'k 1'), ['k', 'app']),
    ),
    ['app', 'b', 'k'],
  );
  assert.deepEqual(
    chosen(
      solve(universeOf('app 1; Depends: a | b', 'a 1', 'b 1', 'k 1; Breaks: a (<< 2)'), [
        'k',
        'app',
      ]),
    ),
    ['app', 'b', 'k'],
  );
});

test('a package does not conflict with itself through what it provides', () => {
  assert.deepEqual(
    chosen(
      solve(universeOf('mta 1; Provides: mail; Conflicts: mail', 'app 1; Depends: mail'), ['app']),
    ),
    ['app', 'mta'],
  );
});

test('a dead end goes back to the decision that led there', () => {
  assert.deepEqual(
    chosen(
      solve(
        universeOf(
          'app 1; Depends: a | b, z',
          'a 1; Depends: a2',
          'a2 1; Conflicts: z',
          'b 1',
          'z 1',
        ),
        ['app'],
      ),
    ),
    ['app', 'b', 'z'],
  );
});

test('what cannot be had is explained from what was asked for down to what is missing', () => {
  assert.equal(
    chosen(
      solve(
        universeOf(
          'app 1; Depends: a',
          'a 2; Depends: b (>= 3) | c',
          'b 2.5',
          'c 1; Conflicts: app',
        ),
        ['app'],
      ),
    ),
    `error[PK030]: app cannot be installed: a needs b (>= 3) | c
help: ask for other packages or versions, or add a source that has what is missing
app 1 is asked for
  a 2 is needed by app (Depends: a)
    needs Depends: b (>= 3) | c
      b (>= 3): the candidate is 2.5 (s)
      c 1 conflicts with app, and app 1 is chosen`,
  );
});

test('two packages asked for that conflict are named', () => {
  assert.match(
    String(chosen(solve(universeOf('a 1; Conflicts: b (<< 2)', 'b 1'), ['a', 'b']))),
    /cannot be installed together[\s\S]*a 1 conflicts with b \(<< 2\), and b 1 is chosen/,
  );
});

test('recommends come only when asked for, and only where they fit', () => {
  const stanzas = [
    'app 1; Recommends: r, bad, gone; Depends: a',
    'a 1',
    'r 1; Recommends: r2',
    'r2 1',
    'bad 1; Depends: worse',
    'worse 1; Conflicts: a',
  ];
  assert.deepEqual(chosen(solve(universeOf(...stanzas), ['app'])), ['a', 'app']);
  assert.deepEqual(chosen(solve(universeOf(...stanzas), ['app'], true)), ['a', 'app', 'r', 'r2']);
});

test(':any needs a package that allows it', () => {
  const app = 'app 1; Depends: p:any';
  assert.deepEqual(chosen(solve(universeOf(app, 'p 1; Multi-Arch: allowed'), ['app'])), [
    'app',
    'p',
  ]);
  assert.match(String(chosen(solve(universeOf(app, 'p 1'), ['app']))), /PK030/);
});

test('the highest priority wins, then the highest version, then the first source', () => {
  const at = (source: number, priority: number, ...stanzas: readonly string[]) => ({
    index: indexOf(...stanzas),
    source,
    suite: `s${source}`,
    priority,
  });
  const universe = new Universe(
    [
      at(0, 500, 'a 1', 'b 1', 'c 1'),
      at(1, 500, 'a 2', 'c 1'),
      at(2, 100, 'a 9', 'b 9'),
      at(3, -1, 'n 1'),
    ],
    { architecture: 'amd64', choices: new Map([['b', { suite: 's2' }]]), excluded: new Set(['c']) },
  );
  assert.deepEqual(
    ['a', 'b', 'c', 'n'].map((name) => {
      const candidate = universe.candidate(name);
      return candidate === undefined ? undefined : [candidate.record.version, candidate.suite];
    }),
    [['2', 's1'], ['9', 's2'], undefined, undefined],
  );
});

test('a search that would take too long is given up', () => {
  const universe = universeOf(
    ...Array.from({ length: 20 }, (_, i) => [
      `l${i} 1; Depends: a${i} | b${i}`,
      `a${i} 1; Depends: l${i + 1}`,
      `b${i} 1; Depends: l${i + 1}`,
    ]).flat(),
    'l20 1; Depends: nothing',
  );
  const seed = universe.candidate('l0');
  assert.ok(seed);
  const result = resolve(universe, {
    seeds: [{ candidate: seed, reason: 'asked for' }],
    recommends: false,
    budget: 500,
  });
  assert.match(
    String(chosen(result)),
    /no way to install l0 was found within the limit of the search/,
  );
});

test('a package is installed behind what it Pre-Depends on', () => {
  const universe = universeOf(
    'base 1; Essential: yes; Depends: lib',
    'lib 1',
    'app 1; Depends: b',
    'b 1; Pre-Depends: c',
    'c 1; Depends: lib',
    'late 1; Pre-Depends: app',
  );
  const candidates = ['base', 'lib', 'app', 'b', 'c', 'late'].flatMap(
    (n) => universe.candidate(n) ?? [],
  );
  assert.deepEqual(
    Object.fromEntries(installSteps(candidates, needTargets(universe, candidates))),
    {
      base: 0,
      lib: 0,
      app: 2,
      b: 2,
      c: 1,
      late: 3,
    },
  );
});

test('stanzas that are not well-formed are left out of an index, the others are not', () => {
  const index = indexOf('good 1', '../bad 1', 'fine 1; Provides: virtual (= 2), other');
  assert.deepEqual(
    [
      [...index.names()],
      index.providing('virtual').map((p) => p.name),
      index.providing('other').length,
    ],
    [['good', 'fine'], ['fine'], 1],
  );
});

test('packages are found by name, by what they provide and by importance, with and without tables', () => {
  const stanza = (name: string, fields: string): string =>
    `Package: ${name}\nVersion: 1\nArchitecture: all\nFilename: pool/${name}\nSize: 1\nSHA256: ${'a'.repeat(64)}\n${fields}\n`;
  const text = [
    stanza('zeta', 'Priority: optional\nProvides: mail, list-mail (= 2), mail'),
    stanza('c++', 'Priority: required'),
    stanza('alpha', 'Priority: extra\nProvides: mail'),
    stanza('c', 'Essential: yes'),
    stanza('zeta', 'Priority: standard\nVersion: 2'),
  ].join('\n');
  const bytes = compactIndex(Buffer.from(text));
  const lines = bytes.subarray(bytes.indexOf(10) + 1, bytes.lastIndexOf(10) + 1);
  const rows = Buffer.from(
    lines.toString('latin1').split('\n').slice(0, 5).join('\n').concat('\n'),
  );
  const earlier = Buffer.concat([Buffer.from(`varve-index 1 ${sha256(rows)} 0\n`), rows]);
  assert.deepEqual(upgradedIndex(earlier), bytes);
  const seen = [bytes, earlier].map((form) => {
    const index = PackagesIndex.read(form);
    assert.ok(index);
    const names = (records: Iterable<{ readonly name: string }>): string =>
      [...records].map((r) => r.name).join(' ');
    return [
      [...index.names()].join(' '),
      names(index.named('zeta')),
      names(index.named('c')),
      names(index.named('b')),
      names(index.providing('mail')),
      names(index.providing('list-mail')),
      names(index.providing('list')),
      names(index.important(1)),
      names(index.important(3)),
      names(index.important(5)),
      index.orderOf('alpha') > index.orderOf('c++'),
    ];
  });
  const wanted = [
    ...['zeta c++ alpha c', 'zeta zeta', 'c', '', 'zeta alpha', 'zeta', ''],
    ...['c++ c', 'zeta c++ c', 'zeta zeta c++ alpha c', true],
  ];
  assert.deepEqual(seen, [wanted, wanted]);
});

test('an index damaged by one bit is not read', () => {
  const bytes = compactIndex(Buffer.from('Package: a\n'));
  assert.ok(PackagesIndex.read(bytes));
  const other = Buffer.concat([bytes, Buffer.from('x')]);
  assert.equal(PackagesIndex.read(other), undefined);
});
