import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { extractRpm, readRpm } from '../../../src/packages/rpm-file.ts';
import { RpmHeader, TAG } from '../../../src/rpm/index.ts';
import { needsRpmTools, RpmRepo } from '../../rig/rpm-repo.ts';

const wanted = userInfo().uid === 0 ? needsRpmTools : { skip: 'not root' };
const signal = new AbortController().signal;
let repo: RpmRepo | undefined;

before(async () => {
  if (wanted.skip !== undefined) return;
  repo = await RpmRepo.start();
  repo.add([{ name: 'app', files: { 'opt/app': 'four' } }], '');
});
after(async () => await repo?.[Symbol.asyncDispose]());

interface Entry {
  readonly name: string;
  readonly mode?: number;
  readonly data?: string;
  readonly links?: number;
}

/** An archive of the new ASCII format (cpio(5)). */
function cpio(entries: readonly Entry[]): Buffer {
  const all = [...entries, { name: 'TRAILER!!!', mode: 0 }];
  const parts = all.map(({ name, mode = 0o100644, data = '', links = 1 }: Entry, i) => {
    const fields = [i + 1, mode, 0, 0, links, 1, data.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}${name}\0`;
    const padded = (text: string): string => text + '\0'.repeat((4 - (text.length % 4)) % 4);
    return padded(head) + padded(data);
  });
  return Buffer.from(parts.join(''), 'latin1');
}

/** What extraction of the package with this payload says; the files that it left. */
async function extracted(payload: Buffer): Promise<readonly [string, readonly string[]]> {
  assert.ok(repo);
  const dir = mkdtempSync(join(tmpdir(), 'varve-rpm-payload-'));
  try {
    const path = join(repo.files, 'Packages/app-1-1.noarch.rpm');
    const read = await readRpm(path);
    assert.ok(read.ok);
    const forged = join(dir, 'forged.rpm');
    writeFileSync(
      forged,
      Buffer.concat([readFileSync(path).subarray(0, read.value.payload), gzipSync(payload)]),
    );
    const root = join(dir, 'root');
    mkdirSync(root);
    const result = await extractRpm(forged, root, signal);
    const left = execFileSync('find', [root, '-type', 'f', '-printf', '%P\n'], {
      encoding: 'utf8',
    });
    const files = left.split('\n').filter((name) => name !== '');
    assert.equal(existsSync(join(dir, 'escaped')), false);
    return [result.ok ? 'ok' : result.error.message.replace(forged, 'app'), files];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test(
  'a payload that disagrees with the header of its package is not unpacked',
  wanted,
  async () => {
    const good = { name: './opt/app', data: 'four' };
    assert.deepEqual(
      {
        'the same': await extracted(cpio([good])),
        'a name that is not listed': await extracted(
          cpio([good, { name: './opt/more', data: 'x' }]),
        ),
        'a path outside': await extracted(cpio([{ name: '../escaped', data: 'x' }])),
        'another type': await extracted(cpio([{ name: './opt/app', mode: 0o120777, data: '/x' }])),
        'another size': await extracted(cpio([{ name: './opt/app', data: 'fours' }])),
        'an end inside': await extracted(cpio([good]).subarray(0, 118)),
        'a number that is not listed': await extracted(Buffer.from('07070X00000007\0\0')),
      },
      {
        'the same': ['ok', ['opt/app']],
        'a name that is not listed': [
          'app: its payload has "./opt/more", which its header does not name',
          ['opt/app'],
        ],
        'a path outside': ['app: its payload has "../escaped", which its header does not name', []],
        'another type': [
          'app: its payload has "./opt/app", as symlink, which its header names as something else',
          [],
        ],
        'another size': [
          'app: its payload has "./opt/app", with 5 bytes, where its header says 4',
          [],
        ],
        'an end inside': ['cpio archive: the archive ends too early', []],
        'a number that is not listed': ['cpio archive: there is no file 7', []],
      },
    );
  },
);

/** A header with one tag of texts. */
function header(count: number, data: Buffer): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.set([0x8e, 0xad, 0xe8, 1]);
  bytes.writeUInt32BE(1, 8);
  bytes.writeUInt32BE(data.length, 12);
  bytes.writeUInt32BE(TAG.baseNames, 16);
  bytes.writeUInt32BE(8, 20);
  bytes.writeUInt32BE(count, 28);
  return Buffer.concat([bytes, data]);
}

test('a header may have a million files, and not as many as it says', () => {
  const texts = (count: number, data: Buffer): number => {
    const read = RpmHeader.parse(header(count, data), 'x');
    return read.ok ? read.value.texts(TAG.baseNames).length : -1;
  };
  const million = Buffer.from('f\0'.repeat(1_000_000));
  assert.deepEqual(
    [texts(1_000_000, million), texts(0xffffffff, million), texts(3_000_000, million)],
    [1_000_000, 0, 1_000_000],
  );
});
