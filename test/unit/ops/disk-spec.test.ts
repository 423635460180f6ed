import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDiskStep } from '../../../src/ops/disk-spec.ts';

const GUID = '8b774435-e9a2-8ee7-8d9d-7b5a99150a28';
const content = {
  kind: 'ext4',
  mount: '/in',
  path: '/',
  uuid: GUID,
  label: 'l',
  emptied: ['/home'],
};
const part = {
  name: 'root',
  start: 1,
  size: 2,
  content,
  entry: { index: 1, type: GUID, uuid: GUID },
};
const step = {
  file: '/out/disk.raw',
  table: { kind: 'gpt', id: GUID, size: 3 },
  parts: [part],
  rootHash: { mount: '/in', path: '/h' },
  newest: { mount: '/in', path: '/n' },
};

test('a disk step is read as it was written', () => {
  assert.deepEqual(readDiskStep(JSON.stringify(step)), { ok: true, value: step });
});

test('a disk step from elsewhere that is none is refused by what is wrong in it', () => {
  const wrong: readonly object[] = [
    { ...step, file: '/out/../../etc/passwd' },
    { ...step, file: '/out/..' },
    { ...step, file: '/etc/passwd' },
    { ...step, parts: [] },
    { ...step, parts: [{ ...part, start: -1 }] },
    { ...step, parts: [{ ...part, size: 2 ** 60 }] },
    { ...step, parts: [{ name: 'a', start: 0, content }, part] },
    { ...step, parts: [{ ...part, entry: { ...part.entry, index: 129 } }] },
    { ...step, parts: [{ ...part, content: { ...content, uuid: 'x' } }] },
    { ...step, parts: [{ ...part, content: { ...content, kind: 'ntfs' } }] },
    { ...step, table: { kind: 'dos', id: '12' } },
    { ...step, newest: 'now' },
    [],
  ];
  const said = [...wrong.map((w) => readDiskStep(JSON.stringify(w)))];
  assert.deepEqual(
    said.map((r) => (r.ok ? 'read' : r.error.split(':')[0])),
    [
      'file is not in /out',
      'file is not in /out',
      'file is not in /out',
      'a part before the last has no size',
      'parts[0].start is no number of bytes',
      'parts[0].size is no number of bytes',
      'a part before the last has no size',
      'parts[0].index is not from 1 to 128',
      'parts[0].uuid is no GUID',
      'parts[0] has no content',
      'table.id has not 8 hexadecimal digits',
      'newest is no object',
      'the step is no object',
    ],
  );
});

test('a disk step that is no JSON is refused', () => {
  assert.equal(readDiskStep('{').ok, false);
});
