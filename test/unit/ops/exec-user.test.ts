import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookUpUser } from '../../../src/ops/exec-user.ts';

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\n\n app:x:1000:1001::/home/app:/bin/sh\nbad:x:no:3\n';
const GROUP = 'root:x:0:\napp:x:1001:\nstaff:x:50:app,other\naudio:x:29:app\n';

function found(
  spec: string,
  passwd: string | undefined = PASSWD,
  group: string | undefined = GROUP,
): string {
  const user = lookUpUser(spec, () => ({ passwd, group }));
  if (!user.ok) return user.error.message;
  return `${user.value.uid}:${user.value.gid} [${user.value.additionalGids.join(' ')}]`;
}

test('names, numbers and groups are resolved as the builder does', () => {
  const cases: [spec: string, expected: string][] = [
    ['', '0:0 []'],
    ['root', '0:0 []'],
    ['app', '1000:1001 [50 29]'],
    ['1000', '1000:1001 [50 29]'],
    ['app:staff', '1000:50 []'],
    ['app:7', '1000:7 []'],
    ['1000:staff', '1000:50 []'],
    ['77', '77:0 []'],
    ['77:88', '77:88 []'],
    ['root:root', '0:0 []'],
    [':staff', '0:50 []'],
    ['ghost', 'unable to find user ghost: no matching entries in passwd file'],
    ['app:ghosts', 'unable to find group ghosts: no matching entries in group file'],
    ['-1', 'uids and gids must be in range 0-2147483647'],
    ['bad', '0:3 []'],
  ];
  assert.deepEqual(
    cases.map(([spec]) => [spec, found(spec)]),
    cases,
  );
});

test('without user files only numbers and root are known', () => {
  const none = (spec: string) => lookUpUser(spec, () => ({ passwd: undefined, group: undefined }));
  assert.deepEqual(none(''), { ok: true, value: { uid: 0, gid: 0, additionalGids: [] } });
  assert.deepEqual(none('5'), { ok: true, value: { uid: 5, gid: 0, additionalGids: [] } });
  assert.equal(none('app').ok, false);
});

test('two numbers need no files at all', () => {
  const user = lookUpUser('5:6', () => assert.fail('the files were read'));
  assert.deepEqual(user, { ok: true, value: { uid: 5, gid: 6, additionalGids: [] } });
});
