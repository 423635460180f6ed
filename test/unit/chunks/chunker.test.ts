import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { CHUNK, Chunker } from '../../../src/chunks/index.ts';

/** Bytes that look random and are the same in every run. */
function bytes(seed: string, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0, i = 0; at < length; at += 32, i++)
    out.set(
      createHash('sha256')
        .update(`${seed}${i}`)
        .digest()
        .subarray(0, Math.min(32, length - at)),
      at,
    );
  return out;
}

function cut(data: Uint8Array, step = data.length): Uint8Array[] {
  const chunker = new Chunker();
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += step)
    chunks.push(...chunker.push(data.subarray(at, at + step)));
  chunks.push(...chunker.finish());
  return chunks;
}

const names = (chunks: readonly Uint8Array[]): string[] =>
  chunks.map((c) => createHash('sha256').update(c).digest('hex'));

test('chunks put together are the stream, and their lengths keep the limits', () => {
  const data = bytes('a', 5_000_000);
  const chunks = cut(data);
  assert.deepEqual(Buffer.concat(chunks), Buffer.from(data));
  const inner = chunks.slice(0, -1).map((c) => c.length);
  assert.ok(Math.min(...inner) > CHUNK.min && Math.max(...inner) <= CHUNK.max);
  const mean = data.length / chunks.length;
  assert.ok(mean > CHUNK.normal / 2 && mean < CHUNK.normal * 2, `mean ${mean}`);
});

test('the cuts do not depend on how the stream is handed over', () => {
  const data = bytes('b', 1_500_000);
  const whole = names(cut(data));
  for (const step of [1_000, 65_536, 1_048_577]) assert.deepEqual(names(cut(data, step)), whole);
});

test('cuts are part of the format: these lengths never change', () => {
  assert.deepEqual(
    cut(bytes('format', 600_000)).map((c) => c.length),
    LENGTHS,
  );
});

test('bytes put in at one place leave the other chunks as they are', () => {
  const data = bytes('c', 4_000_000);
  const changed = Buffer.concat([
    data.subarray(0, 2_000_000),
    Buffer.from('hello'),
    data.subarray(2_000_000),
  ]);
  const before = new Set(names(cut(data)));
  const fresh = names(cut(changed)).filter((name) => !before.has(name));
  assert.ok(fresh.length <= 3, `${fresh.length} new chunks`);
});

test('a stream without variety is cut at the upper limit, and an empty one has no chunk', () => {
  assert.deepEqual(
    cut(new Uint8Array(600_000)).map((c) => c.length),
    [CHUNK.max, CHUNK.max, 600_000 - 2 * CHUNK.max],
  );
  assert.deepEqual(cut(new Uint8Array()), []);
});

const LENGTHS = [98434, 44652, 68280, 66911, 73321, 52991, 81875, 30617, 31875, 33939, 17105];
