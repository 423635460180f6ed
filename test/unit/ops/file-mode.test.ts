import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseModeChange } from '../../../src/ops/file-mode.ts';

/** `text` applied to a file of mode `from`. */
function changed(text: string, from: number, isDir = false): string {
  const change = parseModeChange(text);
  return change.ok ? change.value(from, isDir).toString(8) : change.error;
}

test('octal modes replace all bits', () => {
  assert.deepEqual(
    [changed('755', 0o4600), changed('0', 0o777), changed('07777', 0), changed('10000', 0)],
    ['755', '0', '7777', 'invalid syntax'],
  );
});

test('clauses add, remove and set bits of the classes they name', () => {
  assert.deepEqual(
    [
      changed('u+x', 0o644),
      changed('go-r', 0o644),
      changed('a=r', 0o777),
      changed('+x', 0o600),
      changed('u=rw,go=', 0o777),
      changed('u=rwx,g=u-w,o=', 0),
      changed('o=g', 0o750),
    ],
    ['744', '600', '444', '711', '600', '750', '755'],
  );
});

test('X executes directories and what somebody could execute before', () => {
  assert.deepEqual(
    [
      changed('u=rwX,go=rX', 0o600),
      changed('u=rwX,go=rX', 0o600, true),
      changed('u=rwX,go=rX', 0o610),
      changed('a-x,a+X', 0o755),
    ],
    ['644', '755', '755', '755'],
  );
});

test('setuid, setgid and sticky bits are set by s and t and cleared by what is set anew', () => {
  assert.deepEqual(
    [
      changed('u+s', 0o755),
      changed('ug+s', 0o755),
      changed('o+s', 0o755),
      changed('+t', 0o777),
      changed('o+t', 0o777),
      changed('u=rwx', 0o4755),
      changed('g=u', 0o2750),
    ],
    ['4755', '6755', '755', '1777', '777', '755', '2770'],
  );
});

test('what is no mode is refused', () => {
  for (const text of ['', 'x', 'u', 'u=q', 'u+x,', '8', 'u~x', '64a'])
    assert.equal(changed(text, 0), 'invalid syntax', text);
});
