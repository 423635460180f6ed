import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dependencyText, meets, parseDependency } from '../../../src/rpm/index.ts';

const text = (given: string): string | undefined => {
  const read = parseDependency(given);
  return read === undefined ? undefined : dependencyText(read);
};

test('dependencies are read as rpm writes them', () => {
  const same = [
    'bash',
    'libc.so.6(GLIBC_2.34)(64bit)',
    'perl(Foo::Bar) >= 1.2',
    '/usr/bin/env',
    'glibc < 1:2.3-4',
    'font(:lang=de)',
    '(a or b)',
    '(a if b else c)',
    '(a unless b else c)',
    '(a with b)',
    '(a without (b or c))',
    '((a >= 1 if b) and (c or (d with e < 2)))',
    '(config(x) = 1-2 if /etc/x)',
  ];
  assert.deepEqual(same.map(text), same);
  assert.deepEqual(
    [text('(a and b and c)'), text('(a)'), text('  a   >=   1 ')],
    ['(a and (b and c))', 'a', 'a >= 1'],
  );
});

test('what is no dependency is refused', () => {
  const wrong = [
    '',
    '(',
    '(a',
    'a)',
    '(a or)',
    '(a or b and c)',
    'a >=',
    'a >= 1-2-3',
    '(a if b or c)',
  ];
  wrong.push('a b', '= 1', `${'('.repeat(40)}a${')'.repeat(40)}`);
  assert.deepEqual(
    wrong.filter((w) => text(w) !== undefined),
    [],
  );
});

test('ranges of versions meet as rpm has it', () => {
  const bound = (given: string) => {
    const read = parseDependency(`x ${given}`);
    return read?.kind === 'name' ? read.bound : assert.fail(given);
  };
  const cases: readonly (readonly [provided: string, asked: string, met: boolean])[] = [
    ['', '>= 1', true],
    ['= 1-1', '', true],
    ['= 1-1', '= 1', true],
    ['= 1-1', '= 1-1', true],
    ['= 1-1', '= 1-2', false],
    ['= 1-1', '> 1', false],
    ['= 1-1', '>= 1', true],
    ['= 1-1', '< 1-2', true],
    ['= 2-1', '< 2', false],
    ['= 1:1-1', '>= 9', true],
    ['>= 3', '<= 2', false],
    ['>= 3', '<= 3', true],
    ['>= 3', '< 3', false],
    ['< 3', '< 1', true],
    ['<= 3', '>= 3', true],
  ];
  assert.deepEqual(
    cases.filter(([provided, asked, met]) => meets(bound(provided), bound(asked)) !== met),
    [],
  );
});
