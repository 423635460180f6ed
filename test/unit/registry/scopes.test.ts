import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeScopes } from '../../../src/registry/scopes.ts';

test('scopes of one repository become one, also behind a name with a port', () => {
  assert.deepEqual(
    mergeScopes([
      'repository:team/other:push,pull',
      'repository:team/app:pull',
      '',
      'repository:team/other:pull,push',
      'repository:host:5000/x:pull',
      'repository:host:5000/x:push',
      'odd',
    ]),
    [
      'odd',
      'repository:host:5000/x:pull,push',
      'repository:team/app:pull',
      'repository:team/other:pull,push',
    ],
  );
});
