import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, renderFailure } from '../../../src/base/index.ts';

test('a failure is printed with one excerpt a place, tabs kept and code points counted', () => {
  const file = { path: 'Dockerfile', text: 'FROM golang AS build\n\tCOPY é --from=biuld /out /\n' };
  const at = file.text.indexOf('biuld');
  const text = renderFailure(
    failure('DF012', 2, 'stage "biuld" is not defined', {
      help: 'did you mean "build"?',
      places: [
        { file, span: { offset: at, length: 5 } },
        { file, span: { offset: 15, length: 5 }, note: 'defined here' },
      ],
    }),
  );
  assert.equal(
    text,
    [
      'error[DF012]: stage "biuld" is not defined',
      ' --> Dockerfile:2:16',
      '  |',
      '2 | \tCOPY é --from=biuld /out /',
      '  | \t              ^^^^^ help: did you mean "build"?',
      ' --> Dockerfile:1:16',
      '  |',
      '1 | FROM golang AS build',
      '  |                ----- defined here',
    ].join('\n'),
  );
});

test('of a long line only the part around the place is shown', () => {
  const text = `${'a'.repeat(300)}\tbad${'é'.repeat(300)}\n`;
  const file = { path: 'Dockerfile', text };
  const places = [{ file, span: { offset: 301, length: 3 } }];
  assert.equal(
    renderFailure(failure('DF001', 2, 'it is bad', { places, help: 'mend it' })),
    `error[DF001]: it is bad
 --> Dockerfile:1:302
  |
1 | …${'a'.repeat(39)}\tbad${'é'.repeat(77)}…
  | ${' '.repeat(40)}\t^^^ help: mend it`,
  );
});

test('the mark below a long line ends where the shown part ends', () => {
  const file = { path: 'Dockerfile', text: 'x'.repeat(500) };
  const places = [{ file, span: { offset: 0, length: 500 } }];
  assert.equal(
    renderFailure(failure('DF003', 2, 'too long', { places })),
    `error[DF003]: too long
 --> Dockerfile:1:1
  |
1 | ${'x'.repeat(120)}…
  | ${'^'.repeat(120)}`,
  );
});
