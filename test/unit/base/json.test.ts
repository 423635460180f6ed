import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson } from '../../../src/base/index.ts';

test('documents nested deeper than a thousand levels are refused, brackets in strings are no levels', () => {
  const nested = (depth: number, inner: string): string =>
    '['.repeat(depth) + inner + ']'.repeat(depth);
  const said = (text: string): string => {
    const parsed = parseJson(text);
    return parsed.ok ? 'ok' : parsed.error;
  };
  deepEqual(
    {
      'a thousand lists': said(nested(1000, '')),
      'one more': said(nested(1001, '')),
      'objects, too': said(`${'{"a":'.repeat(1001)}1${'}'.repeat(1001)}`),
      'five million': said('['.repeat(5e6)),
      'brackets in a string': said(nested(999, `"${'['.repeat(5000)}"`)),
      'brackets behind an escaped quote': said(nested(999, `"\\"${'{'.repeat(5000)}"`)),
      'brackets behind an escaped slash': said(nested(1, `"\\\\",${nested(1000, '')}`)),
      'a member twice': JSON.stringify(parseJson('{"a":1,"a":2}')),
    },
    {
      'a thousand lists': 'ok',
      'one more': 'it is nested deeper than 1000 levels',
      'objects, too': 'it is nested deeper than 1000 levels',
      'five million': 'it is nested deeper than 1000 levels',
      'brackets in a string': 'ok',
      'brackets behind an escaped quote': 'ok',
      'brackets behind an escaped slash': 'it is nested deeper than 1000 levels',
      'a member twice': '{"ok":true,"value":{"a":2}}',
    },
  );
});
