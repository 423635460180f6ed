import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { sha256 } from '../../../src/base/index.ts';
import { decodeCacheConfig, decodeMountIndex, restoreMount } from '../../../src/remotes/index.ts';
import { peakOf } from '../../rig/bombs.ts';
import { note } from '../../rig/golden.ts';
import { MountWorld } from './mount-world.ts';

const DIGEST = sha256('x');
const HEX = DIGEST.slice(7);
/** What a reader of the largest document may take beside the test process. */
const MAX_MIB = 1000;

const list = (length: number, item: (i: number) => string): string =>
  Array.from({ length }, (_, i) => item(i)).join(',');
const layers = (count: number): string =>
  list(count, (i) => `{"blob":"${DIGEST}","parent":${i % 1000 === 0 ? -1 : i - 1}}`);
const record = (members: string): string => `{"digest":"${DIGEST}"${members}}`;

/** Configs of up to 16 MiB, the most that is read. */
const CONFIGS: Readonly<Record<string, readonly [make: () => string, said: string]>> = {
  'as many layers as fit, each upon 999 others': [
    () => `{"layers":[${layers(160_000)}],"records":[]}`,
    'ok 0',
  ],
  'results that name trees of a thousand layers': [
    () =>
      `{"layers":[${layers(80_000)}],"records":[${list(5000, (k) =>
        record(`,"layers":[${list(80, (j) => `{"layer":${(k * 80 + j) % 80_000}}`)}]`),
      )}]}`,
    'cache config: its results have more than 2000000 layers together',
  ],
  'a record with a million results': [
    () =>
      `{"layers":[${layers(3)}],"records":[${record(`,"layers":[${list(1e6, () => '{"layer":1}')}]`)}]}`,
    'cache config: record 0 has more results than a cache may name',
  ],
  'a record with a million links': [
    () => `{"records":[${record('')},${record(`,"inputs":[[${list(1e6, () => '{}')}]]`)}]}`,
    'cache config: its records have more than 500000 links together',
  ],
  'a record with a million inputs': [
    () => `{"records":[${record('')},${record(`,"inputs":[${list(1e6, () => '[{}]')}]`)}]}`,
    'cache config: its records have more than 500000 links together',
  ],
  'lists in lists without end': [
    () => '['.repeat(8e6) + ']'.repeat(8e6),
    'cache config: it is nested deeper than 1000 levels',
  ],
  'a layer that is its own ancestor': [
    () => `{"layers":[{"blob":"${DIGEST}","parent":1},{"blob":"${DIGEST}","parent":0}]}`,
    'cache config: layer 0 is its own ancestor',
  ],
  'a layer upon more than a kernel mounts': [
    () => `{"layers":[${list(1002, (i) => `{"blob":"${DIGEST}","parent":${i - 1}}`)}]}`,
    'cache config: layer 1000 lies on more than 1000 others',
  ],
};

test('a cache config that means much more than its bytes is refused in little memory', async () => {
  const wrong: string[] = [];
  let highest = 0;
  for (const [danger, [make, wanted]] of Object.entries(CONFIGS)) {
    const text = make();
    let said = '';
    const facts = { mediaType: 'x', size: 1, diffId: DIGEST };
    const peak = await peakOf(() => {
      const read = decodeCacheConfig(text, () => facts);
      said = read.ok ? `ok ${read.value.records.length}` : read.error.message;
      return Promise.resolve();
    });
    highest = Math.max(highest, peak);
    if (said !== wanted || peak > MAX_MIB) wrong.push(`${danger}: ${said}, peak ${peak} MiB`);
  }
  deepEqual(wrong, []);
  note(`cache configs: ${Object.keys(CONFIGS).length} oversize ones, peak ${highest} MiB`);
});

const ROOT = '["d","",0,0,"0",493]';
const index = (entries: string, chunks = `["${HEX}",1,0,0,1]`, small = '0'): Buffer =>
  zstdCompressSync(
    `{"version":1,"generation":0,"packs":[["${HEX}",1000]],"chunks":[${chunks}],"small":[${small}],"entries":[${entries}]}`,
  );

test('an index of a cache mount that means much more than its bytes is refused in little memory', async () => {
  using world = new MountWorld();
  const file = (i: number, size: number, data: string): string =>
    `["f","f${i}",0,0,"0",420,${size},${data}]`;
  const cases: Readonly<Record<string, () => Buffer>> = {
    'eleven million lists': () => index(list(11e6, () => '[]')),
    'one file of five million parts': () =>
      index(`${ROOT},${file(0, 5e6, `[${list(5e6, () => '0')}]`)}`),
    'a thousand files over ten thousand chunks each': () =>
      index(
        `${ROOT},${list(1000, (i) => file(i, 10_000, '0'))}`,
        undefined,
        list(10_000, () => '0'),
      ),
  };
  const said: Record<string, string> = {};
  let highest = 0;
  for (const [danger, make] of Object.entries(cases)) {
    const bytes = make();
    const peak = await peakOf(async () => {
      const decoded = await decodeMountIndex(bytes);
      const done = decoded.ok
        ? await restoreMount(world.data, decoded.value, {
            signal: new AbortController().signal,
            remote: world.cache(),
            forget: () => Promise.resolve(),
          })
        : decoded;
      said[danger] = done.ok ? 'taken' : `${done.error.code} ${done.error.message}`;
    });
    highest = Math.max(highest, peak);
  }
  deepEqual(said, {
    'eleven million lists':
      'RC020 the index of a cache mount is refused: it has more members than an index may have',
    'one file of five million parts':
      'RC022 its files are made of more than 4000000 parts of chunks',
    'a thousand files over ten thousand chunks each':
      'RC022 its files are made of more than 4000000 parts of chunks',
  });
  deepEqual(highest > 1500 ? highest : 'bounded', 'bounded');
  note(`cache mounts: ${Object.keys(cases).length} oversize indexes, peak ${highest} MiB`);
});
