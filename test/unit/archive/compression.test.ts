import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { compress, decompress, detectCompression } from '../../../src/archive/index.ts';
import { FailureError } from '../../../src/base/index.ts';
import { chunked, collect } from '../../conformance/tar-rig.ts';

const signal = new AbortController().signal;
const SKIPPABLE = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

/** Text that compresses and bytes that do not, over several blocks. */
const MIXED = Buffer.concat([
  Buffer.from('layer '.repeat(400_000)),
  noise(1_500_000),
  Buffer.alloc(70_000),
]);

for (const format of ['gzip', 'zstd'] as const) {
  for (const [what, data] of [
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('x')],
    ['several blocks', MIXED],
  ] as const) {
    test(`${format} of ${what} is read by the tool of that name and here`, async () => {
      const packed = await collect(compress(chunked(data, 99_999), { format, signal }));
      const tool = spawnSync(format, ['-dc'], { input: packed, maxBuffer: 2 ** 26 });
      assert.deepEqual(
        [tool.status, tool.stdout.equals(data), detectCompression(packed)],
        [0, true, format],
      );
      assert.equal(
        (await collect(decompress(chunked(packed, 1000), { signal }))).equals(data),
        true,
      );
    });
  }

  test(`the bytes of ${format} do not depend on how many blocks are compressed at once`, async () => {
    const one = await collect(compress(chunked(MIXED), { format, signal, parallel: 1 }));
    const many = await collect(compress(chunked(MIXED, 7777), { format, signal, parallel: 7 }));
    assert.equal(one.equals(many), true);
  });

  test(`damaged and cut ${format} data is a failure, and so is more than the limit`, async () => {
    const packed = await collect(compress(chunked(MIXED), { format, signal }));
    const flipped = Buffer.from(packed);
    flipped[packed.length >> 1] = (flipped[packed.length >> 1] ?? 0) ^ 0xff;
    assert.deepEqual(
      [
        await codeOf(flipped),
        await codeOf(packed.subarray(0, packed.length - 3)),
        await codeOf(packed, MIXED.length - 1),
        await codeOf(packed, MIXED.length),
      ],
      ['ST202', 'ST202', 'ST203', 'read'],
    );
  });
}

for (const tool of ['xz', 'bzip2', 'gzip', 'zstd'] as const) {
  test(`what ${tool} writes is recognised and read`, async () => {
    const packed = execFileSync(tool, ['-c'], { input: MIXED, maxBuffer: 2 ** 26 });
    assert.equal((await collect(decompress(chunked(packed), { signal }))).equals(MIXED), true);
    assert.equal(await codeOf(packed.subarray(0, packed.length >> 1)), 'ST202');
  });
}

test('several zstd frames and skippable frames in one chunk, or byte by byte, lose nothing', async () => {
  const frame = (text: string, ...flags: string[]): Buffer =>
    execFileSync('zstd', ['-c', '-q', ...flags], { input: text });
  const long = 'long '.repeat(100_000);
  const bytes = Buffer.concat([
    ...[SKIPPABLE, frame('one '), frame('two ', '--no-check'), SKIPPABLE, frame('')],
    ...[frame(long, '-19'), frame('aaaa'.repeat(5000)), SKIPPABLE],
  ]);
  const expected = `one two ${long}${'aaaa'.repeat(5000)}`;
  for (const size of [bytes.length, 1, 7])
    assert.equal(
      (await collect(decompress(chunked(bytes, size), { signal }))).toString(),
      expected,
    );
});

test('several gzip members behind each other are one stream', async () => {
  const members = ['a', 'b'].map((text) => execFileSync('gzip', ['-c'], { input: text }));
  assert.equal(
    (await collect(decompress(chunked(Buffer.concat(members)), { signal }))).toString(),
    'ab',
  );
});

test('a stream that is not compressed passes as it is', async () => {
  for (const text of ['', 'x', 'plain text'])
    assert.equal(
      (await collect(decompress(chunked(Buffer.from(text), 2), { signal }))).toString(),
      text,
    );
});

test('an error of the source arrives as it is', async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* chunked(Buffer.from('1f8b08000000000000ff', 'hex'));
    throw new Error('connection lost');
  }
  for (const format of ['gzip', 'zstd', 'xz', 'none'] as const)
    await assert.rejects(
      collect(decompress(broken(), { signal, format })),
      /connection lost|damaged/,
    );
  await assert.rejects(collect(decompress(broken(), { signal })), /^Error: connection lost$/);
});

test('an aborted signal ends a decompression with its reason', async () => {
  const controller = new AbortController();
  const packed = await collect(compress(chunked(MIXED), { format: 'gzip', signal }));
  const reading = collect(
    (async function* () {
      for await (const chunk of decompress(chunked(packed, 1000), { signal: controller.signal })) {
        controller.abort(new Error('enough'));
        yield chunk;
      }
    })(),
  );
  await assert.rejects(reading, /enough/);
});

async function codeOf(bytes: Uint8Array, maxBytes?: number): Promise<string> {
  try {
    await collect(
      decompress(chunked(bytes), { signal, ...(maxBytes === undefined ? {} : { maxBytes }) }),
    );
    return 'read';
  } catch (e) {
    if (e instanceof FailureError) return e.failure.code;
    throw e;
  }
}

/** Bytes that no compressor shrinks, the same in every run. */
function noise(length: number): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) parts.push(createHash('sha256').update(String(i)).digest());
  return Buffer.concat(parts).subarray(0, length);
}

test('gzip stores blocks of noise, unless a level is asked for or a part of the block is none', async () => {
  const block = 1024 * 1024;
  const random = noise(3 * block);
  const text = Buffer.from('words '.repeat(block / 8));
  const withText = Buffer.concat([
    random.subarray(0, 300_000),
    text.subarray(0, 100_000),
    random.subarray(300_000),
  ]).subarray(0, block);
  const cases: readonly (readonly [string, Buffer, number | undefined])[] = [
    ['noise', random, undefined],
    ['noise at level 1', random, 1],
    ['noise with some text in it', withText, undefined],
    ['text', text, undefined],
    ['less noise than a block', random.subarray(0, 300_000), undefined],
    ['too little noise to judge', random.subarray(0, 200_000), undefined],
  ];
  const found: (readonly [string, boolean, boolean])[] = [];
  for (const [what, data, level] of cases) {
    const options = { format: 'gzip' as const, signal, ...(level === undefined ? {} : { level }) };
    const packed = await collect(compress(chunked(data), options));
    // Stored data stands in the output as it is (RFC 1951, 3.2.4); what deflate tried in vain does so in shorter pieces.
    const runs = Array.from({ length: 30 }, (_, i) => data.subarray(i * 5000, i * 5000 + 20_000));
    const isStored = runs.some((run) => packed.includes(run));
    const read = await collect(decompress(chunked(packed), { signal }));
    found.push([what, isStored, read.equals(data)]);
  }
  assert.deepEqual(found, [
    ['noise', true, true],
    ['noise at level 1', false, true],
    ['noise with some text in it', false, true],
    ['text', false, true],
    ['less noise than a block', true, true],
    ['too little noise to judge', false, true],
  ]);
});
