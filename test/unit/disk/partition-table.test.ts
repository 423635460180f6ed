import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TempDir } from '../../../src/base/index.ts';
import { gptOf, mbrOf } from '../../../src/disk/index.ts';

const MIB = 1024 * 1024;
const SIZE = 64 * MIB;
const skip = existsSync('/usr/sbin/sfdisk') ? {} : { skip: 'not installed: sfdisk' };

/** What sfdisk makes of a script. */
async function bySfdisk(script: string): Promise<Buffer> {
  await using dir = await TempDir.create(tmpdir(), 'table-');
  const file = join(dir.path, 'disk');
  writeFileSync(file, '');
  truncateSync(file, SIZE);
  execFileSync('sfdisk', ['-q', file], { input: script });
  return readFileSync(file);
}

test('a GUID partition table has the bytes that sfdisk writes', skip, async () => {
  const [id, uuid] = [
    '8B774435-E9A2-8EE7-8D9D-7B5A99150A28',
    '7c4a10c7-3e7e-822c-8697-4048081c7661',
  ];
  const [esp, root] = [
    'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
    '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709',
  ];
  const other = '7A1EA720-B1B9-8AFD-B15C-FD80D30DFF3C';
  const { head, tail } = gptOf(id, SIZE, [
    { index: 2, name: 'rootfs é', type: root, uuid: other, start: 9 * MIB, size: 54 * MIB },
    { index: 1, name: 'boot', type: esp, uuid, start: MIB, size: 8 * MIB },
  ]);
  const disk = await bySfdisk(`label: gpt
label-id: ${id}
unit: sectors
first-lba: 2048
1 : start=2048, size=16384, type=${esp}, uuid=${uuid}, name="boot"
2 : start=18432, size=110592, type=${root}, uuid=${other}, name="rootfs é"
`);
  assert.deepEqual(
    [disk.subarray(0, head.length).equals(head), disk.subarray(-tail.length).equals(tail)],
    [true, true],
  );
});

test('a table of MBR says what that of sfdisk says', skip, async () => {
  const record = mbrOf('8b774435', [
    { index: 1, type: 'ef', start: MIB, size: 8 * MIB },
    { index: 2, type: '83', start: 9 * MIB, size: 54 * MIB },
  ]);
  const disk = await bySfdisk(`label: dos
label-id: 0x8b774435
unit: sectors
1 : start=2048, size=16384, type=ef
2 : start=18432, size=110592, type=83
`);
  // Places by cylinders are not compared: nothing reads them.
  const rows = (bytes: Buffer): readonly string[] =>
    [446, 462, 478, 494].map(
      (at) => `${bytes[at]} ${bytes[at + 4]} ${bytes.toString('hex', at + 8, at + 16)}`,
    );
  assert.deepEqual(
    [rows(record), record.toString('hex', 440, 446), record.readUInt16LE(510)],
    [rows(disk), disk.toString('hex', 440, 446), disk.readUInt16LE(510)],
  );
});
