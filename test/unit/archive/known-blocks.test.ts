import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { compress, decompress, type KnownBlocks } from '../../../src/archive/index.ts';
import { chunked, collect } from '../../conformance/tar-rig.ts';

const { signal } = new AbortController();

/** Text that compresses and never repeats, in sectors. */
function text(mebibytes: number): Buffer {
  const sectors = mebibytes * 2048;
  const parts = Array.from({ length: sectors }, (_, i) =>
    createHash('sha256').update(`sector ${i}`).digest('hex').repeat(8),
  );
  return Buffer.from(parts.join(''));
}

/** Remembers blocks, and counts those that were asked for and known. */
class Memory implements KnownBlocks {
  readonly blocks = new Map<string, Uint8Array>();
  hits = 0;
  asked = 0;

  get(name: string): Promise<Uint8Array | undefined> {
    const found = this.blocks.get(name);
    this.asked++;
    if (found !== undefined) this.hits++;
    return Promise.resolve(found);
  }

  add(name: string, _offset: number, bytes: Uint8Array): void {
    this.blocks.set(name, bytes);
  }
}

const gzip = (data: Uint8Array, known?: KnownBlocks): Promise<Buffer> =>
  collect(
    compress(chunked(data, 70_001), {
      format: 'gzip',
      signal,
      ...(known === undefined ? {} : { known }),
    }),
  );

test('blocks behind an insertion are found again, and the result is that of compressing all of it', async () => {
  const before = text(12);
  const memory = new Memory();
  const first = await gzip(before, memory);
  assert.ok(first.equals(await gzip(before)));
  const blocks = memory.asked;
  const at = 5_000_192;
  const after = Buffer.concat([
    before.subarray(0, at),
    Buffer.alloc(1536, 'new'),
    before.subarray(at),
  ]);
  memory.asked = 0;
  const second = await gzip(after, memory);
  assert.ok(second.equals(await gzip(after)));
  assert.ok((await collect(decompress(chunked(second), { signal }))).equals(after));
  // The block of the insertion, and the one behind it, whose dictionary may be another.
  assert.ok(blocks >= 6 && memory.hits >= memory.asked - 2, `${memory.hits} of ${memory.asked}`);
});

test('what is known and wrong is compressed anew', async () => {
  const data = text(4);
  const right = await gzip(data);
  const memory = new Memory();
  await gzip(data, memory);
  const lies: Readonly<Record<string, (bytes: Buffer) => Uint8Array>> = {
    'other bytes': () => Buffer.from('no deflate at all'),
    nothing: () => new Uint8Array(0),
    'cut off': (bytes) => bytes.subarray(0, bytes.length - 5),
    'one bit in the middle': (bytes) => bytes.fill((bytes[99] ?? 0) ^ 4, 99, 100),
    'of another block': () => [...memory.blocks.values()].at(-1) ?? new Uint8Array(0),
    'expands for ever': (bytes) => Buffer.concat([bytes, bytes, bytes]),
  };
  for (const [what, lie] of Object.entries(lies)) {
    const [name = '', bytes] = [...memory.blocks][0] ?? [];
    const known: KnownBlocks = {
      get: (asked) => Promise.resolve(asked === name ? lie(Buffer.from(bytes ?? [])) : undefined),
      add: () => undefined,
    };
    assert.ok((await gzip(data, known)).equals(right), what);
  }
});
