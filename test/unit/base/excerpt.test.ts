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
