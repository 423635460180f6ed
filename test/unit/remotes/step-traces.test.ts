import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { sha256 } from '../../../src/base/index.ts';
import {
  decodeStepTraces,
  encodeStepTraces,
  type GraphRecord,
  recordAddresses,
  type TravellingTraces,
} from '../../../src/remotes/index.ts';

const [A, B] = [sha256('a'), sha256('b')];
const ADDRESS = A.slice(7);

const TRACES: TravellingTraces = {
  traces: [
    {
      ...{ step: '[stage-0] RUN x', project: '/app', below: '[stage-0] FROM base' },
      ...{ record: ADDRESS, key: A, op: B, describes: 'x', pb: Buffer.from([1, 2]) },
      inputs: [
        { step: '[stage-0] FROM base', main: true, describes: 'base@1', records: [ADDRESS] },
        { step: 'context', ignored: '["a"]', content: B, records: [] },
      ],
      ...{ at: 5, costMs: 1.5 },
    },
  ],
  listings: new Map([
    [B, zstdCompressSync('/\0' + '00112233aabbccdd\n/f\0' + '0123456789abcdef\n')],
  ]),
};

test('traces come back as they were, and the same ones are the same bytes', () => {
  const bytes = encodeStepTraces(TRACES);
  assert.deepEqual(decodeStepTraces(bytes), { ok: true, value: TRACES });
  assert.deepEqual(encodeStepTraces(TRACES), bytes);
});

test('what is malformed or too large is refused as a whole', () => {
  const text = (json: unknown): Uint8Array => zstdCompressSync(JSON.stringify(json));
  const trace = {
    ...{ step: 's', project: 'p', below: '', record: ADDRESS, key: A, op: B, pb: '' },
    ...{ inputs: [], at: 1, costMs: 1 },
  };
  const listing = (lines: string | Uint8Array): string =>
    zstdCompressSync(lines).toString('base64');
  const whole = (change: object, listings: object = {}): Uint8Array =>
    text({ version: 1, traces: [{ ...trace, ...change }], listings });
  const hostile = {
    'no zstd': Buffer.from('{}'),
    'a bomb': zstdCompressSync(Buffer.alloc(64 << 20, 'x')),
    'no JSON': zstdCompressSync('{'),
    'another version': text({ version: 2, traces: [], listings: {} }),
    'too many': text({ version: 1, traces: Array(2001).fill(trace), listings: {} }),
    'no address': whole({ record: '../../etc' }),
    'no digest': whole({ op: 'sha256:xyz' }),
    'no time': whole({ at: -1 }),
    'no input': whole({ inputs: [7] }),
    'no address of an input': whole({ inputs: [{ step: 's', records: ['x'] }] }),
    'no listings': text({ version: 1, traces: [] }),
    'no content digest': whole({}, { x: listing('') }),
    'other lines': whole({}, { [B]: listing('/f\0' + 'not hexadecimal\n') }),
    'a listing without an end': whole({}, { [B]: listing('/f') }),
    'a bomb of a listing': whole({}, { [B]: listing(Buffer.alloc(40 << 20)) }),
  };
  const taken = Object.entries(hostile).filter(([, bytes]) => decodeStepTraces(bytes).ok);
  assert.deepEqual(
    taken.map(([name]) => name),
    [],
  );
  assert.equal(decodeStepTraces(whole({}, { [B]: listing('') })).ok, true);
});

test('a record has the same address in another order of the graph, and another one below other records', () => {
  const root = (name: string): GraphRecord => ({ digest: sha256(name), inputs: [], results: [] });
  const on = (...links: readonly number[]): GraphRecord => ({
    digest: sha256('top'),
    inputs: [links.map((record) => ({ record }))],
    results: [],
  });
  const [x, y, top] = recordAddresses([root('x'), root('y'), on(0, 1)]);
  assert.deepEqual(recordAddresses([on(2, 1), root('x'), root('y')]), [top, x, y]);
  assert.notEqual(recordAddresses([root('x'), root('y'), on(1)])[2], top);
});
