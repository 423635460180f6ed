import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { CpioReader, type StrippedFile } from '../../../src/archive/index.ts';

/** A header of the new ASCII format, padded, with its name. */
function header(
  name: string,
  fields: { mode: number; size?: number; inode?: number; links?: number },
): Buffer {
  const { mode, size = 0, inode = 1, links = 1 } = fields;
  const numbers = [inode, mode, 0, 0, links, 5, size, 0, 0, 0, 0, name.length + 1, 0];
  const text = `070701${numbers.map((n) => n.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return padded(Buffer.from(text, 'latin1'));
}

const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
const TRAILER = header('TRAILER!!!', { mode: 0 });

function inPieces(bytes: Buffer): AsyncIterable<Uint8Array> {
  const count = Math.ceil(bytes.length / 11);
  return Readable.from(
    Array.from({ length: count }, (_, i) => bytes.subarray(i * 11, i * 11 + 11)),
  );
}

async function entries(bytes: Buffer, files?: readonly StrippedFile[]): Promise<readonly string[]> {
  const reader = new CpioReader(inPieces(bytes), files);
  const seen: string[] = [];
  for (;;) {
    const next = await reader.next();
    if (!next.ok) return [...seen, next.error.message];
    if (next.value === undefined) return seen;
    const { name, type, mode, link = '' } = next.value;
    const parts: Uint8Array[] = [];
    for await (const part of reader.data()) parts.push(part);
    seen.push(`${type} ${mode.toString(8)} ${name} ${link}${Buffer.concat(parts).toString()}`);
  }
}

test('names of one file become hard links to the one that has the data', async () => {
  const shared = { mode: 0o100644, inode: 7, links: 3 };
  const bytes = Buffer.concat([
    header('./d', { mode: 0o040755 }),
    header('./d/a', shared),
    header('./d/b', { ...shared, size: 3 }),
    padded(Buffer.from('one')),
    header('./d/c', shared),
    header('./s', { mode: 0o120777, size: 3 }),
    padded(Buffer.from('d/a')),
    header('./e1', { mode: 0o100600, inode: 9, links: 2 }),
    header('./e2', { mode: 0o100600, inode: 9, links: 2 }),
    TRAILER,
  ]);
  assert.deepEqual(await entries(bytes), [
    'dir 755 ./d ',
    'file 644 ./d/b one',
    'hardlink 644 ./d/a ./d/b',
    'hardlink 644 ./d/c ./d/b',
    'symlink 777 ./s d/a',
    'file 600 ./e1 ',
    'hardlink 600 ./e2 ./e1',
  ]);
});

test('a stripped archive names its files by number', async () => {
  const file = (name: string, given: Partial<StrippedFile>): StrippedFile => ({
    ...{ name, mode: 0o100644, size: 0, mtime: 5, device: { major: 0, minor: 0 } },
    ...{ inode: undefined, hasData: true },
    ...given,
  });
  const number = (n: number): Buffer =>
    padded(Buffer.from(`07070X${n.toString(16).padStart(8, '0')}`));
  const files = [
    file('/a', { size: 5 }),
    file('/b', { size: 3, inode: 4, hasData: false }),
    file('/c', { size: 3, inode: 4 }),
    file('/d', { mode: 0o040700 }),
  ];
  const bytes = Buffer.concat([
    ...[number(3), number(0), padded(Buffer.from('five!')), number(1), number(2)],
    ...[padded(Buffer.from('two')), TRAILER],
  ]);
  assert.deepEqual(await entries(bytes, files), [
    'dir 700 /d ',
    'file 644 /a five!',
    'file 644 /c two',
    'hardlink 644 /b /c',
  ]);
  assert.deepEqual(await entries(number(9), files), ['cpio archive: there is no file 9']);
});

test('an archive that is cut off or something else is refused', async () => {
  const whole = Buffer.concat([header('a', { mode: 0o100644, size: 8 }), Buffer.alloc(8), TRAILER]);
  const results: string[] = [];
  for (let length = 0; length < whole.length - 1; length += 17) {
    const last = (await entries(whole.subarray(0, length)).catch((e: unknown) => [String(e)])).at(
      -1,
    );
    if (!/cpio archive: |FailureError/.test(last ?? '')) results.push(`${length}: ${last ?? ''}`);
  }
  assert.deepEqual(results, []);
  assert.deepEqual(await entries(Buffer.from('070707 of old')), [
    'cpio archive: it is no cpio archive of the new ASCII format',
  ]);
});

test('an archive that cpio made is read as cpio reads it', {
  skip: userInfo().uid !== 0 ? 'not root' : false,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-cpio-'));
  try {
    mkdirSync(join(dir, 't/sub'), { recursive: true });
    writeFileSync(join(dir, 't/sub/file'), 'content\n', { mode: 0o640 });
    const busybox = '/bin/busybox';
    const made = execFileSync(busybox, ['cpio', '-o', '-H', 'newc', '--quiet'], {
      cwd: join(dir, 't'),
      input: 'sub\nsub/file\n',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    assert.deepEqual(await entries(made), ['dir 755 sub ', 'file 640 sub/file content\n']);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
