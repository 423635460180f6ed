import { deepEqual, equal } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FailureError } from '../../../src/base/index.ts';
import { readDeb } from '../../../src/packages/deb.ts';
import { extractDeb } from '../../../src/packages/extract.ts';
import { unxz } from '../../../src/packages/unxz.ts';
import { PrimaryReader } from '../../../src/rpm/index.ts';
import { arOf } from '../../rig/ar.ts';
import { headOfFile, peakOf, zstdBomb } from '../../rig/bombs.ts';
import { note } from '../../rig/golden.ts';
import { needsSteps, Rig } from '../../rig/rig.ts';

const { signal } = new AbortController();
const GIB = 2 ** 30;
const xz = (input: Uint8Array, ...options: readonly string[]): Buffer =>
  execFileSync('xz', ['-c', '-T1', ...options], { input, maxBuffer: GIB });

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  // A stream begins later than whoever asks for it.
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += 65536) yield bytes.subarray(at, at + 65536);
}

/** How many bytes come out, and the message when it is refused. */
async function outcome(bytes: Uint8Array, maxBytes?: number): Promise<readonly [number, string]> {
  let size = 0;
  try {
    const options = { signal, ...(maxBytes === undefined ? {} : { maxBytes }) };
    for await (const chunk of unxz(pieces(bytes), options)) size += chunk.length;
    return [size, ''];
  } catch (e) {
    if (e instanceof FailureError) return [size, `${e.failure.code} ${e.failure.message}`];
    throw e;
  }
}

test('xz data of packages is unpacked as it comes: its size takes no memory', async () => {
  const packed = xz(Buffer.alloc(2 ** 26), '-1');
  // Streams behind each other are one (the .xz file format, section 2).
  const large = Buffer.concat(Array.from({ length: 3 }, () => packed));
  let got: readonly [number, string] = [0, ''];
  const peak = await peakOf(async () => {
    got = await outcome(large);
  });
  deepEqual(got, [3 * 2 ** 26, '']);
  equal(peak < 200 ? 'small' : peak, 'small');
  note(`bombs, xz: 192 MiB unpacked, peak ${peak} MiB`);
});

test('xz data that is longer than allowed, needs too much memory, is damaged or cut off is refused with the reason', async () => {
  const good = xz(Buffer.alloc(2 ** 22));
  const bent = Buffer.from(good);
  bent[good.length >> 1] = (bent[good.length >> 1] ?? 0) ^ 1;
  const cases = {
    'a dictionary of a gigabyte': await outcome(xz(Buffer.alloc(2 ** 20), '--lzma2=dict=1GiB')),
    'the largest preset': (await outcome(xz(Buffer.alloc(2 ** 20), '-9')))[1],
    'longer than allowed': (await outcome(good, 2 ** 20))[1],
    'a flipped bit': (await outcome(bent))[1].slice(0, 31),
    'cut off': (await outcome(good.subarray(0, good.length - 20)))[1].slice(0, 31),
    'no xz': (await outcome(Buffer.alloc(64, 'x')))[1].slice(0, 31),
  };
  deepEqual(cases, {
    'a dictionary of a gigabyte': [
      0,
      'ST203 xz data needs 1073741824 bytes of memory, more than 268435456',
    ],
    'the largest preset': '',
    'longer than allowed': 'ST203 xz data expands to more than 1048576 bytes',
    'a flipped bit': 'ST202 xz data is damaged or cut',
    'cut off': 'ST202 xz data is damaged or cut',
    'no xz': 'ST202 xz data is damaged or cut',
  });
});

test('a Debian package that unpacks to a GiB from nothing is refused in little memory', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  const control = xz(Buffer.alloc(1024));
  const data = zstdBomb(GIB + 2 ** 24, headOfFile('zeros', 8 * GIB));
  rig.write(
    'bomb.deb',
    arOf([
      ['debian-binary', Buffer.from('2.0\n')],
      ['control.tar.xz', control],
      ['data.tar.zst', data],
    ]),
  );
  const deb = await readDeb(join(rig.work, 'bomb.deb'));
  let said = '';
  const peak = await peakOf(async () => {
    const done = deb.ok ? await extractDeb(deb.value, join(rig.root), signal) : deb;
    said = done.ok ? 'taken' : `${done.error.code} ${done.error.message.replace(rig.work, '')}`;
  });
  equal(
    said,
    'PK041 /bomb.deb is not a Debian package: data.tar.zst: zstd data expands to more than 1073741824 bytes',
  );
  equal(peak < 350 ? 'small' : peak, 'small');
  note(`bombs, Debian package: 1 GiB, peak ${peak} MiB; ${readdirSync(rig.root).length} entries`);
});

test('metadata of packages with more dependencies than a distribution has is refused while it is read', () => {
  const reader = new PrimaryReader('primary', { maxEntries: 100_000 });
  reader.write('<metadata><package type="rpm">');
  const files = '<file>a</file>'.repeat(9999);
  let read = 0;
  for (; !reader.failed && read < 1000; read++) reader.write(files);
  const end = reader.end();
  deepEqual(
    [read, end.ok ? 'taken' : end.error.message],
    [11, 'primary is not usable: it lists more than 100000 dependencies and files'],
  );
});
